"""From a component's command and its values to the arguments of a process.

The command is split first and the values are put in afterwards, each inside the one argument it stands in. No shell ever
sees them: quotes, newlines and `$(…)` in a value stay what they are.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from pushline.errors import SettingsError
from pushline.pipelines.runner.definition import BINDING, Component, InputSpec
from pushline.results import Scalar

OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
TRUTH = {"true": "true", "1": "true", "false": "false", "0": "false"}


def text_of(spec: InputSpec, value: Scalar, name: str) -> str:
    """A value as the command gets it.

    Raises SettingsError where it is not of the type of `spec`, or outside its bounds.
    """
    try:
        text = _typed(spec, value)
    except ValueError as error:
        raise SettingsError(f"The input {name} is wrong.", why=f"{value!r}: {error}.", do=f"Give {expected_of(spec)}.") from error
    return text


def expected_of(spec: InputSpec) -> str:
    """What a value of `spec` may be, in words."""
    if spec.is_path:
        return "a path"
    if spec.enum is not None:
        return "one of " + ", ".join(str(item) for item in spec.enum)
    bounds = [f"at least {spec.min:g}"] if spec.min is not None else []
    bounds += [f"at most {spec.max:g}"] if spec.max is not None else []
    article = "an" if spec.type == "integer" else "a"
    return " ".join([article, spec.type, " and ".join(bounds)]).strip()


def _typed(spec: InputSpec, value: Scalar) -> str:
    if value is None:
        raise ValueError("a value is needed")
    if spec.type == "boolean":
        text = TRUTH.get(str(value).strip().lower())
        if text is None:
            raise ValueError("it is neither true nor false")
        return text
    if spec.type in ("integer", "number"):
        return _number(spec, value)
    text = str(value)
    if "\0" in text:
        raise ValueError("a NUL can't be passed to a process")
    if spec.enum is not None and text not in {str(item) for item in spec.enum}:
        raise ValueError("it is not among the accepted values")
    return text


def _number(spec: InputSpec, value: Scalar) -> str:
    if isinstance(value, bool):
        raise ValueError(f"it is no {spec.type}")
    try:
        number = int(str(value)) if spec.type == "integer" else float(str(value))
    except ValueError as error:
        raise ValueError(f"it is no {spec.type}") from error
    if not float("-inf") < number < float("inf"):
        raise ValueError("it is not finite")
    if (spec.min is not None and number < spec.min) or (spec.max is not None and number > spec.max):
        raise ValueError("it is out of bounds")
    if spec.enum is not None and number not in spec.enum:
        raise ValueError("it is not among the accepted values")
    return str(number)


def arguments_of(component: Component, inputs: Mapping[str, str], outputs: Mapping[str, Path]) -> list[str]:
    """The process's arguments: the command split, then the values put in.

    `inputs` holds the text of every bound input; a `$[[ … ]]` block goes in only where all its inputs are bound.
    Raises SettingsError for shell syntax and for a name that the component has not.
    """

    def kept(match: re.Match[str]) -> str:
        names = [found.split(".", 1)[1] for found in BINDING.findall(match.group(1)) if found.startswith("inputs.")]
        return match.group(1) if all(name in inputs for name in names) else ""

    command = BINDING.sub(lambda match: "${{" + match.group(1) + "}}", OPTIONAL.sub(kept, component.command))
    return [_put_in(token, component, inputs, outputs) for token in _split(command, component)]


def _split(command: str, component: Component) -> list[str]:
    try:
        tokens = shlex.split(command)
        lexer = shlex.shlex(BINDING.sub("x", command), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        shell = [token for token in lexer if token and set(token) <= set("();<>|&")]
    except ValueError as error:
        raise SettingsError(f"The command of {component.file.name} can't be split.", why=f"{error}.", do="Close its quotes.") from error
    if not tokens:
        raise SettingsError(f"{component.file.name} has an empty command.", do="Write what it runs.")
    if shell or "$(" in command or "`" in command:
        raise SettingsError(
            f"The command of {component.file.name} needs a shell.",
            why="Commands run without one, so that no value is ever taken for a command.",
            do="Write one program with its arguments; put anything more into a Python module.",
        )
    return tokens


def _put_in(token: str, component: Component, inputs: Mapping[str, str], outputs: Mapping[str, Path]) -> str:
    def value(match: re.Match[str]) -> str:
        kind, _, name = match.group(1).partition(".")
        if kind == "inputs" and name in inputs:
            return inputs[name]
        if kind == "outputs" and name in outputs:
            return str(outputs[name])
        raise SettingsError(
            f"The command of {component.file.name} can't be bound.",
            why=f"${{{{{match.group(1)}}}}} has no value.",
            do="Name an input or output of the component, or put an optional one into $[[ … ]].",
        )

    return BINDING.sub(value, token)
