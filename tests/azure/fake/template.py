"""Deployment templates as the resource manager reads them: expressions, loops, conditions, and the order of their resources.

learn.microsoft.com, "ARM template functions", "Resource iteration", "languageVersion 2.0". A function that is not here fails:
what a template uses has to be told apart from what it makes up.
"""

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[()\[\],.]))")
RESOURCES = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")  # the namespace of guid()
# What only a deployment knows; before it the expression stands for itself.
Reference = Callable[[str], Any]


class NotATemplate(Exception):
    """What the resource manager calls InvalidTemplate."""


@dataclass(frozen=True)
class Resource:
    """One resource as it would be put: after loops and conditions."""

    symbol: str
    id: str
    api_version: str
    body: dict[str, Any]


@dataclass
class Template:
    """A template with its parameters and where it is deployed; `reference` answers what only a deployment knows."""

    text: dict[str, Any]
    given: dict[str, Any]
    subscription: str
    tenant: str
    group: str
    region: str
    reference: Reference | None = None
    loops: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)  # entries that were not made, with all that depend on them

    def __post_init__(self) -> None:
        self.scope = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        declared = self.text.get("parameters", {})
        unknown, missing = set(self.given) - set(declared), [name for name in declared if name not in self.given]
        if unknown:
            raise NotATemplate(f"The template has no parameters {sorted(unknown)}.")
        self.parameters = {name: each["value"] for name, each in self.given.items()}
        kinds = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
        for name in missing:
            if "defaultValue" not in declared[name]:
                raise NotATemplate(f"The value for the template parameter '{name}' is not provided.")
            self.parameters[name] = self.value(declared[name]["defaultValue"])
        for name, value in self.parameters.items():
            wrong = type(value) is not kinds[declared[name]["type"]] or not (
                declared[name].get("minLength", 0) <= (len(value) if isinstance(value, str) else 0) <= declared[name].get("maxLength", 999)
            )
            if wrong:
                raise NotATemplate(f"The value of the template parameter '{name}' is not valid: {value!r}.")

    def resources(self, symbol: str) -> Iterator[Resource]:
        """What one entry of the template makes: nothing, one, or as many as its loop says."""
        entry = self.text["resources"][symbol]
        for index in range(self.value(entry["copy"]["count"]) if "copy" in entry else 1):
            self.loops = {"": index, symbol: index} if "copy" in entry else {}
            if self.value(entry.get("condition", True)):
                name = self.value(entry["name"])
                scope = self.value(entry["scope"]) if "scope" in entry else self.scope
                left_out = ("comments", "copy", "condition", "type", "apiVersion", "name", "scope", "dependsOn")
                body = {key: self.value(value) for key, value in entry.items() if key not in left_out}
                yield Resource(symbol, f"{scope}/{path_of(entry['type'], name)}", entry["apiVersion"], body)
        self.loops = {}

    def order(self) -> list[str]:
        """The entries, each behind what it depends on."""
        entries, placed = self.text["resources"], []

        def place(symbol: str, above: tuple[str, ...]) -> None:
            if symbol in above:
                raise NotATemplate(f"Circular dependency: {' '.join((*above, symbol))}.")
            if symbol not in entries:
                raise NotATemplate(f"The resource '{above[-1]}' depends on '{symbol}', which is not defined in the template.")
            for before in entries[symbol].get("dependsOn", []):
                place(before, (*above, symbol))
            if symbol not in placed:
                placed.append(symbol)

        for symbol in entries:
            place(symbol, ())
        return placed

    def value(self, node: Any) -> Any:
        """A node of the template with its expressions evaluated. What is null counts as not said."""
        if isinstance(node, str):
            return self.text_value(node)
        if isinstance(node, list):
            return [self.value(each) for each in node]
        if not isinstance(node, dict):
            return node
        made = {self.value(key): self.value(value) for key, value in node.items() if key != "copy"}
        for loop in node.get("copy", []):
            made[loop["name"]] = self.loop(loop)
        return {key: value for key, value in made.items() if value is not None}

    def loop(self, loop: dict[str, Any]) -> list[Any]:
        """A property that is a loop of its own."""
        before, made = dict(self.loops), []
        for index in range(self.value(loop["count"])):
            self.loops = {**before, loop["name"]: index}
            made.append(self.value(loop["input"]))
        self.loops = before
        return made

    def text_value(self, text: str) -> Any:
        if text.startswith("[[") or not (text.startswith("[") and text.endswith("]")):
            return text.removeprefix("[") if text.startswith("[[") else text
        if "reference(" in text and self.reference is None:
            return text
        return Expression(self, text[1:-1]).all()


def path_of(kind: str, name: str) -> str:
    """`providers/Provider/kind/name/kind/name`, of a kind and a name of as many parts."""
    provider, *kinds = kind.split("/")
    names = name.split("/")
    if len(kinds) != len(names):
        raise NotATemplate(f"The name '{name}' has not as many segments as its type '{kind}'.")
    return "/".join(["providers", provider, *(part for pair in zip(kinds, names, strict=True) for part in pair)])


class Expression:
    """One expression, read from left to right."""

    def __init__(self, template: Template, text: str) -> None:
        self.template, self.text = template, text
        self.tokens = [(found.lastgroup, found.group().strip()) for found in TOKEN.finditer(text)]
        if "".join(token for _, token in self.tokens).replace(" ", "") != text.replace(" ", ""):
            raise NotATemplate(f"Unable to parse language expression '{text}'.")

    def all(self) -> Any:
        found = self.term()
        if self.tokens:
            raise NotATemplate(f"Unable to parse language expression '{self.text}': {self.tokens[0][1]} is left.")
        return found

    def take(self, wanted: str) -> None:
        if not self.tokens or self.tokens.pop(0)[1] != wanted:
            raise NotATemplate(f"Unable to parse language expression '{self.text}': {wanted} is expected.")

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens else ""

    def term(self) -> Any:
        kind, token = self.tokens.pop(0)
        if kind == "text":
            found: Any = token[1:-1].replace("''", "'")
        elif kind == "number":
            found = int(token)
        else:
            found = self.call(token)
        while self.peek() in (".", "["):
            if self.tokens.pop(0)[1] == ".":
                key: Any = self.tokens.pop(0)[1]
            else:
                key = self.term()
                self.take("]")
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError) as error:
                raise NotATemplate(f"'{self.text}': the property '{key}' doesn't exist.") from error
        return found

    def call(self, name: str) -> Any:
        arguments = []
        self.take("(")
        while self.peek() != ")":
            arguments.append(self.term())
            if self.peek() == ",":
                self.take(",")
        self.take(")")
        if name not in FUNCTIONS:
            raise NotATemplate(f"The template function '{name}' is not valid.")
        return FUNCTIONS[name](self.template, *arguments)


def variable(template: Template, name: str) -> Any:
    if name not in template.text["variables"]:
        raise NotATemplate(f"The template variable '{name}' is not found.")
    return template.value(template.text["variables"][name])


def parameter(template: Template, name: str) -> Any:
    if name not in template.parameters:
        raise NotATemplate(f"The template parameter '{name}' is not found.")
    return template.parameters[name]


def cidr_subnet(_: Template, network: str, length: int, index: int) -> str:
    return str(list(ipaddress.ip_network(network).subnets(new_prefix=length))[index])


def reference(template: Template, resource: str, *_: str) -> Any:
    assert template.reference is not None
    return template.reference(resource)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "parameters": parameter,
    "variables": variable,
    "reference": reference,
    "resourceId": lambda template, kind, *names: f"{template.scope}/{path_of(kind, '/'.join(names))}",
    "subscriptionResourceId": lambda template, kind, *names: f"/subscriptions/{template.subscription}/{path_of(kind, '/'.join(names))}",
    "resourceGroup": lambda template: {"id": template.scope, "name": template.group, "location": template.region},
    "subscription": lambda template: {"subscriptionId": template.subscription, "tenantId": template.tenant},
    "environment": lambda _: {"suffixes": {"storage": "core.windows.net"}},
    "copyIndex": lambda template, name="": template.loops[name],
    "cidrSubnet": cidr_subnet,
    "guid": lambda _, *parts: str(uuid.uuid5(RESOURCES, "-".join(parts))),
    "format": lambda _, text, *parts: text.format(*parts),
    "split": lambda _, text, sign: text.split(sign),
    "last": lambda _, parts: parts[-1],
    "length": lambda _, parts: len(parts),
    "empty": lambda _, value: not value,
    "if": lambda _, condition, yes, no: yes if condition else no,
    "not": lambda _, value: not value,
    "true": lambda _: True,
    "null": lambda _: None,
    "createObject": lambda _, *pairs: dict(zip(pairs[::2], pairs[1::2], strict=True)),
}
