"""contract.yml as people left it, with only those lines changed that a new draft changes.

The file is cut where its columns begin: comments above a column go with it, wherever it goes. The result is read again before
it is believed; a file that is written in another way (in JSON's, say) is written anew.
"""

import re

import msgspec

from pushline.adopt.written import SUSPECT, comments_of, contract_text, dumped
from pushline.data.contract import Contract, parse_contract
from pushline.errors import ContractError

ITEM = re.compile(r"^ *- +name:")
SECTION = re.compile(r"^(columns|derived):")

Lines = list[str]


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
