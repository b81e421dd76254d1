"""Drift and new data as lines for a terminal and as Markdown for a job summary."""

from pushline.data.profile.drift import ColumnDrift, Drift
from pushline.data.sources.add import AddResult, Overlap
from pushline.data.sources.lock_history import LockDiff, LockListing
from pushline.data.sources.refresh import FileUpdate, RefreshResult
from pushline.report.figures import count, counted, decimal, numbers, short, visible
from pushline.report.lines import finding_lines
from pushline.report.markdown import code, table, text
from pushline.report.summary import findings_table

NO_VERDICT = "too few rows for a verdict"


def drift_lines(drift: Drift) -> list[str]:
    """The verdict, then a line a column, the ones that drifted most first."""
    verdict = NO_VERDICT if drift.verdict == "too few rows" else drift.verdict
    lines = [f"{visible(drift.source)}: {counted(drift.rows, 'row')} against data version {short(drift.data_version)}: {verdict}"]
    width = max((len(column.column) for column in drift.columns), default=0)
    return lines + [f"  {visible(column.column):<{width}}  {line_of(column)}" for column in drift.columns]


def line_of(column: ColumnDrift) -> str:
    words = " ".join(word for word in (column.level, column.verdict) if word)
    if column.statistic is None:
        return words
    moved = f"; {visible(column.moved)}" if column.moved else ""
    return f"{decimal(column.statistic):>7} (threshold {decimal(column.threshold)})  {words}{moved}"


def drift_table(drift: Drift) -> str:
    """A Markdown table with a row a column."""
    rows = [
        [
            code(column.column),
            " ".join(word for word in (column.level, f"**{column.verdict}**" if column.verdict == "drift" else column.verdict) if word),
            decimal(column.statistic),
            decimal(column.threshold),
            text(column.moved),
        ]
        for column in drift.columns
    ]
    return table(["column", "verdict", "index", "threshold", "largest move"], rows, figures=[2, 3])


def drift_summary(drift: Drift) -> str:
    """The Markdown of build/drift/summary.md."""
    verdict = f"{len(drift.drifted)} of {len(drift.columns)} columns have drifted" if drift.drifted else drift.verdict
    lead = (
        f"{text(drift.source)}: {counted(drift.rows, 'row')} against the profile of data version "
        f"{code(short(drift.data_version))} ({count(drift.reference_rows)} rows): **{verdict}**."
    )
    note = "An index is the population stability index; `time` marks columns whose value tells when a row was made, which always moves on."
    return f"## drift\n\n{lead}\n\n{drift_table(drift)}\n\n<sub>{note}</sub>\n"


def added_lines(added: AddResult) -> list[str]:
    """What was pinned, what was found in it, and how it differs from the data so far."""
    lines = [
        f"{visible(added.file.name)}: {counted(added.file.rows, 'row')}, version {added.file.version}, now in data.lock",
        f"data version {short(added.before)} ({counted(added.rows_before, 'row')}) to {short(added.after)} "
        f"({counted(added.rows_after, 'row')})",
        *(line for finding in added.findings for line in finding_lines(finding)),
        *(overlap_line(overlap) for overlap in added.overlaps),
    ]
    if not any(source.url for source in added.file.sources):
        lines.append("no address is known for it: others need the file in PUSHLINE_DATA, or add it with --url")
    return [*lines, *drift_lines(added.drift)]


def overlap_line(overlap: Overlap) -> str:
    parts = []
    if overlap.rows:
        parts.append(f"{counted(overlap.rows, 'row')} of it {'is' if overlap.rows == 1 else 'are'} in {visible(overlap.file)} already")
        parts[-1] += f" (lines {numbers(overlap.lines)})"
    if overlap.other_label:
        parts.append(f"{counted(overlap.other_label, 'row')} of it {visible(overlap.file)} holds with another label")
    return "; ".join(parts)


def added_summary(added: AddResult) -> str:
    """The Markdown of build/data-add/summary.md."""
    lead = (
        f"**{text(added.file.name)}**: {counted(added.file.rows, 'row')}. Data version {code(short(added.before))} "
        f"({count(added.rows_before)} rows) to {code(short(added.after))} ({count(added.rows_after)} rows)."
    )
    findings = findings_table(added.findings) if added.findings else "No findings."
    overlaps = [f"- {text(overlap_line(overlap), 2000)}" for overlap in added.overlaps] or ["No row of it is pinned already."]
    drift = drift_summary(added.drift).replace("## drift", "### Drift", 1)
    return "\n\n".join(["## data add", lead, findings, "\n".join(overlaps), drift])


def listed_lines(listed: LockListing) -> list[str]:
    """A line a file."""
    lines = [f"data version {listed.data_version}: {counted(listed.rows, 'row')} in {counted(len(listed.files), 'file')}"]
    for file in listed.files:
        addresses = sum(bool(source.url) for source in file.sources)
        where = "on this machine" if file.name in listed.cached else "not fetched yet"
        known = f"{addresses} address{'es' * (addresses != 1)}"
        lines.append(f"  {visible(file.name)}  {counted(file.rows, 'row')}  version {file.version}  {known}, {where}")
    return lines


def moved_lines(moved: LockDiff) -> list[str]:
    """What changed between two locks, then the drift of what is new."""
    if moved.before == moved.after:
        return [f"data.lock is that of {visible(moved.against)}: data version {moved.after}, {counted(moved.rows_after, 'row')}"]
    lines = [
        f"data version {moved.before} ({counted(moved.rows_before, 'row')}) to {moved.after} ({counted(moved.rows_after, 'row')})",
        *(f"  + {visible(file.name)}  {counted(file.rows, 'row')}  version {file.version}" for file in moved.added),
        *(f"  - {visible(file.name)}  {counted(file.rows, 'row')}  version {file.version}" for file in moved.removed),
        *(f"  ~ {visible(file.name)}  {counted(file.rows, 'row')}  version {file.version}" for file in moved.replaced),
    ]
    return lines + [line for drift in moved.drift for line in drift_lines(drift)]


def refreshed_lines(refreshed: RefreshResult) -> list[str]:
    """A line for each file, and what is known of the ones that changed."""
    lines = [f"{visible(name)}: unchanged" for name in refreshed.unchanged]
    for renewed in refreshed.renewed:
        lines.append(
            f"{visible(renewed.name)}: version {short(renewed.before)} ({counted(renewed.rows_before, 'row')}) to "
            f"{short(renewed.after)} ({counted(renewed.rows_after, 'row')}), now in data.lock"
        )
        lines += [line for finding in renewed.findings for line in finding_lines(finding)]
        lines += drift_lines(renewed.drift)
    return lines


def refreshed_summary(refreshed: RefreshResult) -> str:
    """The body of the pull request that moves the lock."""
    lead = (
        "The data's source has changed. Merging this moves `data.lock` to the new data, and the push to main that follows trains on it: "
        "**merging is the decision to retrain**. A person still approves before anything is released."
    )
    note = (
        "> Workflows don't start by themselves for a pull request that a workflow opened: press **Approve and run** at its checks "
        "(or close and reopen it), and wait for `checks`."
    )
    return "\n\n".join([lead, note, *(renewed_section(renewed) for renewed in refreshed.renewed)]) + "\n"


def renewed_section(renewed: FileUpdate) -> str:
    rows = [
        ["version", code(short(renewed.before)), code(short(renewed.after))],
        ["rows", count(renewed.rows_before), count(renewed.rows_after)],
    ]
    return "\n\n".join(
        [
            f"### {text(renewed.name)}",
            table(["", "pinned", "new"], rows, figures=[1, 2]),
            findings_table(renewed.findings) if renewed.findings else "No finding.",
            drift_summary(renewed.drift).replace("## drift", "#### Drift against the profile", 1),
        ]
    )
