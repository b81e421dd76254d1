"""From a component's command and its values to the arguments of a process.

The command is split first and the values are put in afterwards, each inside the one argument it stands in. No shell ever
sees them: quotes, newlines and `$(…)` in a value stay what they are.
"""

import math
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pushline.errors import SettingsError
from pushline.pipelines.runner.definition import BINDING, Component, InputSpec
from pushline.results import Scalar

OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
KINDS = {"integer": int, "number": float, "boolean": bool}


def text_of(spec: InputSpec, value: Scalar, name: str) -> str:
    """A value as the command gets it.

    Raises SettingsError where it is not of the type of `spec`, or outside its bounds.
    """
    try:
        return _typed(spec, value)
    except ValueError as error:
        why = f"it is no {spec.type}" if isinstance(error, msgspec.ValidationError) else error
        raise SettingsError(f"The input {name} is wrong.", why=f"{value!r}: {why}.", do=f"Give {_expected(spec)}.") from error


def _expected(spec: InputSpec) -> str:
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
    kind: Any = KINDS.get(spec.type, str)
    if value is None:
        raise ValueError("a value is needed")
    given: Any = str(value) if kind is str else msgspec.convert(value.strip() if isinstance(value, str) else value, kind, strict=False)
    low, high = -math.inf if spec.min is None else spec.min, math.inf if spec.max is None else spec.max
    if kind in (int, float) and not (math.isfinite(given) and low <= given <= high):
        raise ValueError("it is out of bounds")
    if isinstance(given, str) and "\0" in given:
        raise ValueError("a NUL can't be passed to a process")
    if spec.enum is not None and given not in (*spec.enum, *(str(item) for item in spec.enum if kind is str)):
        raise ValueError("it is not among the accepted values")
    return str(given).lower() if kind is bool else str(given)


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
