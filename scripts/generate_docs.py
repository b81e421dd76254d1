"""Writes what the documentation takes from the program; `--check` only says what is out of date.

A page holds `<!-- generated: NAME -->` and `<!-- end -->`; what stands between is made by the function of that name here.
Whole files are made too: data_checks/contract.schema.json.
"""

import re
import sys
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keys_of(kind: type) -> str:
    """The keys of a typed model: name, type, default, meaning."""
    hints = typing.get_type_hints(kind, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(kind):
        bare, limits, meaning = described(hints[field.name])
        default = "required" if field.required else shown_default(field)
        rows.append([f"`{field.encode_name}`", bare + (f", {limits}" if limits else ""), default, meaning])
    return table(["key", "type", "default", "meaning"], rows)


def described(hint: Any) -> tuple[str, str, str]:
    """Type, limits and description of an annotated field."""
    limits, meaning = [], ""
    while typing.get_origin(hint) is typing.Annotated:
        hint, *notes = typing.get_args(hint)
        for note in notes:
            if isinstance(note, msgspec.Meta):
                meaning = note.description or meaning
                limits += limits_of(note)
    args = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [described(arg) for arg in args if arg is not types.NoneType]
        return " or ".join(kind for kind, _, _ in kinds), ", ".join(filter(None, (limit for _, limit, _ in kinds))), meaning
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f"`{arg}`" for arg in args), "", meaning
    if typing.get_origin(hint) is tuple:
        return f"list of {described(args[0])[0]}", ", ".join(limits), meaning
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return names.get(hint, getattr(hint, "__name__", str(hint)).lower()), ", ".join(limits), meaning


def limits_of(note: msgspec.Meta) -> list[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [f"{sign} {getattr(note, name):g}" for name, sign in signs.items() if getattr(note, name) is not None]
    return found + ([f"`{note.pattern}`"] if note.pattern else [])


def shown_default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value == "":
        return "none"
    return f"`{msgspec.json.encode(value).decode()}`"


def contract_keys() -> str:
    from pushline.data.contract import Contract

    return keys_of(Contract)


def column_keys() -> str:
    from pushline.data.contract import Column

    return keys_of(Column)


def split_keys() -> str:
    from pushline.data.contract import Split

    return keys_of(Split)


def derived_keys() -> str:
    from pushline.data.contract import Derived

    return keys_of(Derived)


def rule_keys() -> str:
    from pushline.data.rules import Rule

    return keys_of(Rule)


def finding_kinds() -> str:
    from pushline.data.checks.findings import KINDS

    return table(["id", "what it says"], [[f"`{name}`", meaning] for name, meaning in KINDS.items()])


def workflows() -> str:
    import workflow_table

    return workflow_table.table().rstrip("\n")


def release_order() -> str:
    import release_order as order

    return order.table().rstrip("\n")


def example_table() -> str:
    """Which table the repository is about, by its contract.

    Nothing of `data.lock` stands in it: a pull request that moves the lock alone must pass.
    """
    from pushline.data.contract import load_contract

    contract = load_contract(ROOT / "data_checks" / "contract.yml")
    about = "; ".join(said for said in (contract.source, contract.licence) if said)
    return f"They work on {contract.title or contract.name}{f' ({about})' if about else ''}. {contract.description}".strip()


def flow() -> str:
    """The picture of the flow: the stages in their order, with what stands between them."""
    from pushline.delivery import STAGES
    from pushline.run import RELEASING

    names = list(STAGES)
    before = [name for name in names if name not in RELEASING]
    lines = [
        "flowchart LR",
        f'    push(["git push"]) --> {" --> ".join(before)}',
        f"    {before[-1]} -->|a person approves| {RELEASING[0]}",
    ]
    lines += ["    subgraph release", f"        {' --> '.join(RELEASING)}", "    end", f'    {RELEASING[-1]} --> live(["live release"])']
    lines.append('    release -.->|any failure| kept(["candidate discarded, live release untouched"])')
    return "\n".join(["```mermaid", *lines, "```"])


def stages() -> str:
    """Stage by stage: command, what it does, what it leaves."""
    from pushline.cli import pushline
    from pushline.results import KINDS

    rows = []
    for name, kind in KINDS.items():
        promise = (kind.__doc__ or "").strip().splitlines()[0]
        rows.append([f"`pushline {name}`", help_of(pushline.commands[name]), f"`build/{name}/result.json`", promise])
    return table(["stage", "what it does", "what it leaves", "what that says"], rows)


def all_commands() -> list[tuple[str, Any]]:
    """Every command with its full name, groups before their own."""
    import click

    from pushline.cli import pushline

    def walk(prefix: str, group: Any) -> list[tuple[str, Any]]:
        found = []
        for name in sorted(group.commands):
            command = group.commands[name]
            found.append((f"{prefix} {name}", command))
            if isinstance(command, click.Group):
                found += walk(f"{prefix} {name}", command)
        return found

    return walk("pushline", pushline)


def help_of(command: Any) -> str:
    return command.get_short_help_str(limit=200)


def commands() -> str:
    return table(
        ["command", "what it does"], [[f"[`{name}`](#{name.replace(' ', '-')})", help_of(command)] for name, command in all_commands()]
    )


def command_help() -> str:
    """The help of every command, as the terminal shows it."""
    import click

    parts = []
    shape: dict[str, Any] = {"max_content_width": 100, "terminal_width": 100, "help_option_names": ["-h", "--help"]}
    for name, command in all_commands():
        *parents, own = name.split()
        above = click.Context(click.Group(), info_name=" ".join(parents))
        context = click.Context(command, info_name=own, parent=above, **shape)
        parts.append(f"### {name}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts)


def settings() -> str:
    """Every group of settings with its keys, and the variable that overlays each."""
    from pushline.settings import PREFIX, PushlineSettings

    plain, groups = [], []
    hints = typing.get_type_hints(PushlineSettings, include_extras=True)
    for field in msgspec.structs.fields(PushlineSettings):
        kind = hints[field.name]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            rows = [setting_row(inner, f"{PREFIX}{field.name}__{inner.name}".upper(), kind) for inner in msgspec.structs.fields(kind)]
            groups.append(f"### [tool.pushline.{field.name}]\n\n{(kind.__doc__ or '').strip()}\n\n{table(SETTING, rows)}")
        else:
            plain.append(setting_row(field, f"{PREFIX}{field.name}".upper(), PushlineSettings))
    return "\n\n".join([f"### [tool.pushline]\n\n{table(SETTING, plain)}", *groups])


SETTING = ["key", "type", "default", "meaning", "variable"]


def setting_row(field: msgspec.structs.FieldInfo, variable: str, kind: type) -> list[str]:
    hint = typing.get_type_hints(kind, include_extras=True)[field.name]
    bare, limits, meaning = described(hint)
    return [f"`{field.name}`", bare + (f", {limits}" if limits else ""), shown_default(field), meaning, f"`{variable}`"]


def errors() -> str:
    """The error tree: what happened, its family, its exit code."""
    from pushline.errors import PushlineError

    def walk(kind: type[PushlineError], depth: int) -> list[list[str]]:
        name = "\u2003" * depth + f"`{kind.__name__}`"
        rows = [[name, (kind.__doc__ or "").strip().splitlines()[0], str(kind.exit_code)]] if depth >= 0 else []
        return rows + [row for child in kind.__subclasses__() if child.__module__ == kind.__module__ for row in walk(child, depth + 1)]

    return table(["error", "what happened", "exit code"], walk(PushlineError, -1))


def cost_drivers() -> str:
    """What stands on Azure and what it costs, with the default settings."""
    from pushline import costs
    from pushline.settings import PushlineSettings

    price = costs.prices()
    rows = [
        [each.what, f"{each.euros:.2f} €", each.each or "a month", each.why]
        for each in costs.standing(PushlineSettings(target="aci"), price)
    ]
    return (
        f"{table(['what stands', 'about', 'for', 'why'], rows)}\n\nPrices of {price.date}: {price.place}; {price.euros:g} € for a dollar."
    )


def ci_minutes() -> str:
    """What each event costs of the runners, with the repository's own workflows and settings."""
    from pushline import costs
    from pushline.settings import load_settings

    rows = []
    for found in costs.minutes(ROOT, load_settings(ROOT, {})):
        often = "as often as it happens" if found.times == 1 else f"{found.times:.3g}"
        rows.append([found.event, str(sum(found.jobs.values())), often, ", ".join(f"{name} {taken}" for name, taken in found.jobs.items())])
    return table(["event", "minutes", "times a month", "of them"], rows)


def decisions() -> str:
    """The decision pages by their number."""
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    titles = [page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for page in pages]
    return "\n".join(f"- [{title}]({page.name})" for title, page in zip(titles, pages, strict=True))


BLOCKS: dict[str, Callable[[], str]] = {
    "cost-drivers": cost_drivers,
    "ci-minutes": ci_minutes,
    "decisions": decisions,
    "contract-keys": contract_keys,
    "column-keys": column_keys,
    "derived-keys": derived_keys,
    "split-keys": split_keys,
    "rule-keys": rule_keys,
    "finding-kinds": finding_kinds,
    "workflows": workflows,
    "release-order": release_order,
    "table": example_table,
    "flow": flow,
    "stages": stages,
    "commands": commands,
    "command-help": command_help,
    "settings": settings,
    "errors": errors,
}


def contract_schema() -> bytes:
    from pushline.data.contract.contract import schema_file

    return schema_file()


FILES: dict[str, Callable[[], bytes]] = {"data_checks/contract.schema.json": contract_schema}


def renewed(page: str) -> str:
    """A page with its generated parts made anew. Raises KeyError for a name that no function here makes."""
    return MARKED.sub(lambda match: f"{match[1]}{BLOCKS[match['name']]()}\n{match[3]}", page)


def out_of_date(root: Path) -> dict[Path, bytes]:
    """What each file should hold that holds something else."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    wanted = {page: renewed(page.read_text(encoding="utf-8")).encode() for page in pages if page.is_file()}
    wanted |= {root / name: make() for name, make in FILES.items()}
    return {file: content for file, content in wanted.items() if not file.is_file() or file.read_bytes() != content}


def main() -> int:
    stale = out_of_date(ROOT)
    for file, content in stale.items():
        if "--check" in sys.argv:
            print(f"{file.relative_to(ROOT)} is out of date: run `make docs`.")
        else:
            file.write_bytes(content)
            print(f"wrote {file.relative_to(ROOT)}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
