"""Findings as annotations of a pull request: on the contract's line of the column, or on the lock of the data."""

import re
from contextlib import suppress
from pathlib import Path

from pushline.errors import ContractError, PushlineError
from pushline.github.actions import escaped
from pushline.project import Project
from pushline.results import CheckDataResult, Finding

COMMANDS = {"critical": "error", "warning": "warning", "info": "notice"}


def annotations_of(checked: CheckDataResult, project: Project) -> list[str]:
    """One workflow command per finding. The data file is not in the repository, so its lines stand in the message."""
    lines = lines_of_columns(project.contract)
    return [annotation(finding, checked, project, lines) for finding in checked.findings]


def annotation(finding: Finding, checked: CheckDataResult, project: Project, lines: dict[str | None, int]) -> str:
    file, line = place_of(finding, project, lines)
    message = " ".join(part for part in (finding.message, f"Expected: {finding.expected}." if finding.expected else "") if part)
    if finding.lines:
        more = " and more" if finding.count > len(finding.lines) else ""
        lines_word = "line" if len(finding.lines) == 1 else "lines"
        message += f" {Path(checked.file).name}, {lines_word} {', '.join(map(str, finding.lines))}{more}."
    properties = {"file": file, "line": str(line), "title": finding.id}
    said = ",".join(f"{name}={escaped_property(value)}" for name, value in properties.items())
    return f"::{COMMANDS[finding.severity]} {said}::{escaped(message)}"


def place_of(finding: Finding, project: Project, lines: dict[str | None, int]) -> tuple[str, int]:
    """The repository's file and line that a finding is about."""
    contract = project.contract.relative_to(project.root).as_posix()
    if finding.column in lines:
        return contract, lines[finding.column]
    lock = project.data_lock
    return (lock.relative_to(project.root).as_posix(), 1) if lock.is_file() else (contract, 1)


def annotation_of_error(error: PushlineError) -> str:
    """The workflow command for a failure: on the line of the contract where that is what is wrong."""
    where = ""
    if isinstance(error, ContractError):
        with suppress(PushlineError, OSError, UnicodeDecodeError):
            project = Project.find()
            line = line_of_error(error, project.contract)
            where = f"file={escaped_property(project.contract.relative_to(project.root).as_posix())},line={line},"
    return f"::error {where}title=pushline::{escaped(str(error))}"


def line_of_error(error: ContractError, contract: Path) -> int:
    """The line that an error of the contract is about: the parser's own, that of the path it names, or of the column named first."""
    import yaml

    if said := re.search(r"line (\d+), column", error.why):
        return int(said[1])
    try:
        node = yaml.compose(contract.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return 1
    found = re.search(r"at `\$([^`]*)`", error.why)
    if not found:
        lines = lines_of_columns(contract)
        return next((line for name, line in lines.items() if name and name in error.why), 1)
    line = 1
    for key, position in re.findall(r"\.(\w+)|\[(\d+)\]", found[1]):
        if position and isinstance(node, yaml.SequenceNode):
            node = node.value[int(position)]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode) and (pair := next((pair for pair in node.value if pair[0].value == key), None)):
            line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def escaped_property(value: str) -> str:
    """A value between the commas of a workflow command."""
    return escaped(value).replace(":", "%3A").replace(",", "%2C")


def lines_of_columns(contract: Path) -> dict[str | None, int]:
    """The line of each column in the contract's file, counted from 1."""
    import yaml

    root = yaml.compose(contract.read_text(encoding="utf-8"))
    columns = [value for key, value in root.value if key.value == "columns"] if root is not None else []
    return {
        value.value: value.start_mark.line + 1
        for entries in columns
        for entry in entries.value
        for key, value in entry.value
        if key.value == "name"
    }
