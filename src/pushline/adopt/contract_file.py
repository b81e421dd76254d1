"""contract.yml as a file people read and edit: drafted, or with only those lines changed that a new draft changes.

A file that people edited is cut where its columns begin: comments above a column go with it, wherever it goes. The result is
read again before it is believed; a file that is written in another way (in JSON's, say) is written anew.
"""

import re
from typing import Any

import msgspec

from pushline.data.contract import Contract, parse_contract
from pushline.errors import ContractError

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
ITEM = re.compile(r"^ *- +name:")
SECTION = re.compile(r"^(columns|derived):")

Lines = list[str]

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
    head = kept.get("") or [HEAD.rstrip("\n"), GUESSES.rstrip("\n")]
    lines = [*head, *dumped(plain(contract)), "", "columns:"]
    for column in contract.columns:
        lines += [*(f"{SUSPECT}{reason}" for reason in suspects.get(column.name, ())), *kept.get(column.name, [])]
        lines += item(plain(column))
    if contract.derived:
        lines += ["", "derived:", *(line for derived in contract.derived for line in item(plain(derived)))]
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


def edited(text: str, ours: Contract, proposal: Contract, suspects: dict[str, tuple[str, ...]]) -> str:
    """The contract's file `text`, which says `ours`, made to say `proposal`."""
    made = by_lines(text, ours, proposal, suspects)
    try:
        says = parse_contract(msgspec.yaml.decode(made))
    except (msgspec.DecodeError, ContractError):
        says = None
    return made if says == proposal else contract_text(proposal, suspects, comments_of(text))


def by_lines(text: str, ours: Contract, proposal: Contract, suspects: dict[str, tuple[str, ...]]) -> str:
    parts = sections(text.splitlines())
    head = changed(parts["", ""], plain(ours), plain(proposal), "")
    lines = [*head, *parts.get(("columns", ""), ["columns:"])]
    for column in proposal.columns:
        block, before = parts.get(("columns", column.name)), ours.by_name.get(column.name)
        lines += [f"{SUSPECT}{reason}" for reason in suspects.get(column.name, ())]
        lines += item(plain(column)) if block is None or before is None else changed(block, plain(before), plain(column), "    ")
    if proposal.derived:
        lines += parts.get(("derived", ""), ["", "derived:"])
        for derived in proposal.derived:
            lines += parts.get(("derived", derived.name)) or item(plain(derived))
    return "\n".join(lines) + "\n"


def sections(lines: Lines) -> dict[tuple[str, str], Lines]:
    """The lines by section and name of the item they are of, comments with what stands below them; what adopt suspected is left out."""
    found: dict[tuple[str, str], Lines] = {("", ""): []}
    place, waiting = ("", ""), Lines()
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            waiting += [] if line.startswith(SUSPECT) else [line]
            continue
        if begins := SECTION.match(line):
            place = (begins[1], "")
        elif place[0] and ITEM.match(line):
            place = (place[0], str(msgspec.yaml.decode(line.strip().removeprefix("- "))["name"]))
        found.setdefault(place, [])
        found[place] += [*waiting, line]
        waiting = []
    found[place] += waiting
    return found


def changed(lines: Lines, before: dict[str, object], after: dict[str, object], indent: str) -> Lines:
    """An item's lines with the keys that differ written anew, gone ones left out and new ones behind the rest."""
    for key in [*before, *(key for key in after if key not in before)]:
        if before.get(key) == after.get(key):
            continue
        start = next((at for at, line in enumerate(lines) if line.startswith(f"{indent}{key}:")), len(lines))
        end = start + 1
        while end < len(lines) and lines[end].startswith(f"{indent} ") and not lines[end].lstrip().startswith("#"):
            end += 1
        new = [f"{indent}{line}" for line in dumped({key: after[key]})] if key in after else []
        if new and start < len(lines) and (said := re.search(r"\s+#.*$", lines[start])):
            new[-1] += said[0]
        lines = [*lines[:start], *new, *lines[end:]]
    return lines


def item(values: dict[str, object]) -> Lines:
    first, *rest = dumped(values)
    return [f"  - {first}", *(f"    {line}" for line in rest)]


def plain(value: object) -> dict[str, object]:
    """The keys of a part of the contract, but for its own parts."""
    made: dict[str, object] = msgspec.to_builtins(value)
    return {key: each for key, each in made.items() if key not in ("columns", "derived")}
