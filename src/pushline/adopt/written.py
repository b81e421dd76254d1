"""The drafted contract as a file people read and edit, and the other data files."""

import json
from typing import Any

import msgspec

from pushline.data.contract import Column, Contract

HEAD = """\
# yaml-language-server: $schema=contract.schema.json
# What each column of the table is. Said here once: the Great Expectations suite, the request schema, the API document,
# the load, the cleaning and the drift check are made from it. `pushline docs contract` lists every key.
"""
GUESSES = """\
# Drafted by `pushline adopt` from the rows. Bounds and lists of values are what was seen, with some room: they are guesses, so
# values outside them are warnings. Where you know better, correct them and remove `severity: warning`. Worth a look first:
# `known: after` for what is known only once the outcome is, `sensitive: true`, descriptions and units.
"""
SUSPECT = "  # suspect: "
WIDTH = 124

RULES = '''\
"""What must hold between the columns of a row. `pushline docs contract` explains the fields of a rule.

Count the exceptions in your data before you write a rule down; one that is a guess starts with `severity="warning"`.
"""

from pushline.data.rules import Rule

RULES: list[Rule] = []
'''


def contract_text(contract: Contract, suspects: dict[str, tuple[str, ...]], kept: dict[str, list[str]] | None = None) -> str:
    """contract.yml: suspects stand as comments above their column, then what people had written there (`kept`)."""
    kept = kept or {}
    whole = {key: value for key, value in msgspec.to_builtins(contract).items() if key not in ("columns", "derived")}
    head = kept.get("") or [HEAD.rstrip("\n"), GUESSES.rstrip("\n")]
    lines = [*head, *dumped(whole), "", "columns:"]
    for column in contract.columns:
        lines += [f"{SUSPECT}{reason}" for reason in suspects.get(column.name, ())]
        lines += kept.get(column.name, [])
        first, *rest = dumped(msgspec.to_builtins(column))
        lines += [f"  - {first}", *(f"    {line}" for line in rest)]
    if contract.derived:
        lines += ["", "derived:"]
        for derived in contract.derived:
            first, *rest = dumped(msgspec.to_builtins(derived))
            lines += [f"  - {first}", *(f"    {line}" for line in rest)]
    return "\n".join(lines) + "\n"


def dumped(values: dict[str, Any]) -> list[str]:
    """Lines of YAML, lists in brackets and whole numbers without a point."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def listed(dumper: Any, value: Any) -> Any:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)

    def plain(dumper: Any, value: float) -> Any:
        return dumper.represent_int(int(value)) if value.is_integer() and abs(value) < 1e15 else dumper.represent_float(value)

    Dumper.add_representer(list, listed)
    Dumper.add_representer(tuple, listed)
    Dumper.add_representer(float, plain)
    text = yaml.dump(values, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=False)
    return str(text).rstrip("\n").split("\n")


def comments_of(text: str) -> dict[str, list[str]]:
    """The comments people wrote, by the column below them; those at the top of the file under ""."""
    import yaml

    found: dict[str, list[str]] = {}
    waiting: list[str] = []
    for line in text.splitlines():
        plain = line.strip()
        if plain.startswith("#"):
            if not line.startswith(SUSPECT):
                waiting.append(line)
            continue
        if plain.startswith("- name:"):
            name = yaml.safe_load(plain.removeprefix("- "))["name"]
            found[str(name)], waiting = waiting, []
        elif plain.startswith("name:") and "" not in found:
            found[""], waiting = waiting, []
    return {name: lines for name, lines in found.items() if lines}


def example_text(rows: list[dict[str, Any]]) -> str:
    """A request with these rows, one column after the other, several to a line."""
    blocks = []
    for row in rows:
        lines, line = [], ""
        for key, value in row.items():
            pair = f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
            if line and len(line) + len(pair) > WIDTH:
                lines.append(line)
                line = ""
            line = f"{line}, {pair}" if line else pair
        lines.append(line)
        blocks.append("    {\n" + ",\n".join(f"      {each}" for each in lines) + "\n    }")
    return '{\n  "data": [\n' + ",\n".join(blocks) + "\n  ]\n}\n"


def example_rows(rows: Any, columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Rows of a frame as a request holds them: the columns of the contract but the label, empty ones as null."""
    made = []
    for _, row in rows.iterrows():
        values: dict[str, Any] = {}
        for column in columns:
            value = row[column.name]
            empty = value is None or value != value or str(value) == "<NA>"
            kinds: dict[str, Any] = {"integer": int, "number": float, "boolean": bool, "string": str}
            values[column.name] = None if empty else kinds[column.type](value)
        made.append(values)
    return made
