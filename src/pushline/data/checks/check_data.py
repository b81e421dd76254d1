"""The stage check-data: read the data into a typed table, hold it to the contract and the rules, say what is wrong."""

import shutil
from pathlib import Path

from pushline.data.checks.findings import SEVERITIES, in_order, renamed, root_causes
from pushline.data.checks.label_checks import label_findings
from pushline.data.checks.suite import Check, Detail, Observation, checks_of
from pushline.data.contract import Contract
from pushline.data.files.reading import Reading, TableFile, lines_of, read_file
from pushline.data.files.table import database, literal, name_of
from pushline.data.rules import load_rules
from pushline.errors import DataError, PushlineError
from pushline.files import move
from pushline.files import scratch as scratch_of
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import CheckDataResult, FetchResult, Finding, folder
from pushline.wording import counted


def check_data(
    project: Project, contract: Contract, *, file: Path | None, fetched: FetchResult | None, progress: Progress, data_docs: bool = False
) -> CheckDataResult:
    """Check `file`, or all files of `fetched` as one table, and leave that table at build/check-data/table.parquet.

    `data_docs`: write Great Expectations' own pages into build/check-data/data-docs too.

    Raises DataUnavailable where a file can't be opened, ContractError where the rules don't fit the contract.
    """
    rules = load_rules(project.rules, contract)
    files = [file] if file else [Path(pinned.path) for pinned in fetched.files] if fetched else []
    place = folder(project.build, CheckDataResult.stage)
    table, docs = place / "table.parquet", place / "data-docs"
    shutil.rmtree(docs, ignore_errors=True)
    with scratch_of(place / "scratch") as scratch:
        table.unlink(missing_ok=True)
        readings = [read_part(number, each, contract, scratch, progress) for number, each in enumerate(files)]
        rows = assemble(readings, contract, table, scratch)
        findings = [finding for reading in readings for finding in named(reading, len(files))]
        counts: dict[str, int] = {}
        if rows:
            progress(f"Holding {counted(rows, 'row')} to the contract and {counted(len(rules), 'rule')}.")
            unread = {finding.column for finding in findings if finding.id == "type"}
            checks = checks_of(contract, rules, present_in(readings, contract), unread)
            findings += suite_findings(table, scratch, checks, readings, docs if data_docs else None, contract.name)
            counts = class_counts(table, scratch, contract)
            findings += label_findings(table, scratch, contract, counts, project.profile)
        elif table.exists():
            findings.append(Finding("no-rows", "The file has a header and no row below it.", "0 rows", "rows", lines=(1,)))
    if docs.is_dir():
        progress(f"Data Docs: {docs / 'index.html'}")
    ordered = in_order(root_causes(findings, rows))
    critical, warning, info = (sum(finding.severity == severity for finding in ordered) for severity in SEVERITIES)
    return CheckDataResult(
        data_version=fetched.data_version if fetched and not file else version_of(files[0], contract.delimiter, critical=critical),
        file=str(files[0]),
        table=str(table) if rows else "",
        rows=rows,
        columns=len(readings[0].columns),
        findings=ordered,
        class_counts=counts,
        generated_sample=bool(fetched and not file and fetched.generated_sample),
        critical=critical,
        warning=warning,
        info=info,
    )


def read_again(project: Project, contract: Contract, files: list[Path], *, progress: Progress) -> Path:
    """The typed table of files that were checked on another machine: read as there, and not held to the contract once more.

    Raises DataError where the files give no table, DataUnavailable where one can't be opened.
    """
    place = folder(project.build, CheckDataResult.stage)
    table = place / "table.parquet"
    with scratch_of(place / "scratch") as scratch:
        table.unlink(missing_ok=True)
        readings = [read_part(number, file, contract, scratch, progress) for number, file in enumerate(files)]
        if not assemble(readings, contract, table, scratch):
            raise DataError(
                f"{files[0].name} gives no table.",
                why="It can't be read by the contract that the model was made with.",
                do="Run `pushline check-data`, which says why.",
            )
    return table


def read_part(number: int, file: Path, contract: Contract, scratch: Path, progress: Progress) -> Reading:
    progress(f"Reading {file.name}.")
    return read_file(file, contract, scratch, scratch / f"part{number}.parquet")


def named(reading: Reading, files: int) -> list[Finding]:
    """The findings of one file; of several files each says which it is in."""
    return reading.findings if files == 1 else [renamed(finding, reading.source.file.name) for finding in reading.findings]


def assemble(readings: list[Reading], contract: Contract, table: Path, scratch: Path) -> int:
    """Put the parts together in their order and return the rows of the whole; 0 where a part is missing."""
    if not all(reading.parts for reading in readings):
        return 0
    first = 0
    for reading in readings:
        reading.source.first_row = first
        first += reading.source.rows
    parts = [reading.parts for reading in readings if reading.parts]
    if len(parts) == 1:
        move(parts[0], table)
        return first
    names = ", ".join(name_of(name) for name in present_in(readings, contract))
    whole = " UNION ALL ".join(f"SELECT {names} FROM read_parquet({literal(str(part))})" for part in parts)
    with database(scratch) as connection:
        connection.execute(f"COPY ({whole}) TO {literal(str(scratch / table.name))} (FORMAT parquet, COMPRESSION zstd)")
    move(scratch / table.name, table)
    return first


def present_in(readings: list[Reading], contract: Contract) -> list[str]:
    """The contract's columns that every file has."""
    return [column.name for column in contract.columns if all(column.name in reading.columns.values() for reading in readings)]


def suite_findings(table: Path, scratch: Path, checks: list[Check], readings: list[Reading], docs: Path | None, name: str) -> list[Finding]:
    """Run the suite and turn each failure into findings with the lines of the file they are in; with `docs`, its pages too."""
    from pushline.data.checks.validate import Validation, rows_of_duplicates, write_data_docs

    validation = Validation(table, scratch)
    try:
        failed = validation.failed(checks)
        if docs:
            write_data_docs(validation, checks, name, docs)
    finally:
        validation.close()
    sources = [reading.source for reading in readings]
    repeats = rows_of_duplicates(table, scratch) if any(check.id == "duplicates" for check, _ in failed) else ()
    return [
        finding_of(check, seen, sources, repeats if check.id == "duplicates" else seen.rows)
        for check, detail in failed
        for seen in explained(check, detail)
    ]


def explained(check: Check, detail: Detail) -> list[Observation]:
    seen = check.explain(detail)
    return seen if isinstance(seen, list) else [seen]


def finding_of(check: Check, seen: Observation, sources: list[TableFile], rows: tuple[int, ...]) -> Finding:
    source, lines = lines_of(sources, rows)
    column = check.column or seen.column
    finding = Finding(check.id, seen.message, seen.seen, check.expected, check.severity, column, seen.count, lines)
    return renamed(finding, source.file.name) if source and len(sources) > 1 else finding


def class_counts(table: Path, scratch: Path, contract: Contract) -> dict[str, int]:
    """Rows per allowed value of the label; none where the label is not in the table."""
    label = name_of(contract.label.name)
    with database(scratch) as connection:
        relation = f"read_parquet({literal(str(table))})"
        names = [name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]
        if contract.label.name not in names:
            return {}
        found = dict(connection.execute(f"SELECT CAST({label} AS VARCHAR), count(*) FROM {relation} GROUP BY 1").fetchall())
    return {value: int(found.get(value, 0)) for value in contract.classes}


def version_of(file: Path, delimiter: str, *, critical: int) -> str:
    """The data version of a file that `data.lock` does not pin; empty where it is not sound."""
    from pushline.data.files.version import table_of

    if critical:
        return ""
    try:
        return table_of(file, delimiter).version
    except PushlineError:
        return ""
