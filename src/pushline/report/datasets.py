"""Drift and new data as Markdown for job summaries and pull requests; `report.terminal` makes lines of it."""

from pushline.data.profile.drift import ColumnDrift, Drift
from pushline.data.sources.add import AddResult, FileUpdate, Overlap, RefreshResult
from pushline.data.sources.lock_history import LockDiff, LockListing
from pushline.report.figures import count, counted, decimal, numbers, short, visible
from pushline.report.markdown import code, table, text
from pushline.report.summary import findings_table

NO_ADDRESS = "No address is known for it: others need the file in PUSHLINE_DATA, or add it with `--url`."


def drift_summary(drift: Drift) -> str:
    """The Markdown of build/drift/summary.md."""
    note = "An index is the population stability index; `time` marks columns whose value tells when a row was made, which always moves on."
    return f"## drift\n\n{drift_part(drift)}\n\n<sub>{note}</sub>\n"


def drift_part(drift: Drift) -> str:
    """The verdict, then a row a column, the ones that drifted most first."""
    few = f"{drift.verdict} for a verdict" if drift.verdict == "too few rows" else drift.verdict
    verdict = f"{len(drift.drifted)} of {len(drift.columns)} columns have drifted" if drift.drifted else few
    lead = (
        f"{text(drift.source)}: {counted(drift.rows, 'row')} against the profile of data version "
        f"{code(short(drift.data_version))} ({count(drift.reference_rows)} rows): **{verdict}**."
    )
    rows = [[code(c.column), verdict_of(c), decimal(c.statistic), decimal(c.threshold), text(c.moved)] for c in drift.columns]
    return "\n\n".join([lead, table(["column", "verdict", "index", "threshold", "largest move"], rows, figures=[2, 3])])


def verdict_of(column: ColumnDrift) -> str:
    verdict = f"**{column.verdict}**" if column.verdict == "drift" else column.verdict
    return " ".join(word for word in (column.level, verdict) if word)


def overlap_line(overlap: Overlap) -> str:
    parts = []
    if overlap.rows:
        parts.append(f"{counted(overlap.rows, 'row')} of it {'is' if overlap.rows == 1 else 'are'} in {visible(overlap.file)} already")
        parts[-1] += f" (lines {numbers(overlap.lines)})"
    if overlap.other_label:
        parts.append(f"{counted(overlap.other_label, 'row')} of it {visible(overlap.file)} holds with another label")
    return "; ".join(parts)


def added_summary(added: AddResult) -> str:
    """The Markdown of build/data-add/summary.md: what was pinned, what was found in it, and how it differs from the data so far."""
    lead = (
        f"**{text(added.file.name)}**: {counted(added.file.rows, 'row')}. Data version {code(short(added.before))} "
        f"({count(added.rows_before)} rows) to {code(short(added.after))} ({count(added.rows_after)} rows)."
    )
    findings = findings_table(added.findings) if added.findings else "No findings."
    overlaps = [f"- {text(overlap_line(overlap), 2000)}" for overlap in added.overlaps] or ["No row of it is pinned already."]
    known = [] if any(source.url for source in added.file.sources) else [NO_ADDRESS]
    return "\n\n".join(["## data add", lead, *known, findings, "\n".join(overlaps), "### Drift", drift_part(added.drift)]) + "\n"


def listed_lines(listed: LockListing) -> list[str]:
    """A line a file."""
    lines = [f"data version {listed.data_version}: {counted(listed.rows, 'row')} in {counted(len(listed.files), 'file')}"]
    for file in listed.files:
        addresses = sum(bool(source.url) for source in file.sources)
        where = "on this machine" if file.name in listed.cached else "not fetched yet"
        known = f"{addresses} address{'es' * (addresses != 1)}"
        lines.append(f"  {visible(file.name)}  {counted(file.rows, 'row')}  version {file.version}  {known}, {where}")
    return lines


def moved_summary(moved: LockDiff) -> str:
    """What changed between two locks, then the drift of what is new."""
    after = f"{moved.after}, {counted(moved.rows_after, 'row')}"
    if moved.before == moved.after:
        return f"## data diff\n\ndata.lock is that of {text(moved.against)}: data version {after}\n"
    lead = f"Data version {moved.before}, {counted(moved.rows_before, 'row')}, to {after}."
    signs = (("added", moved.added), ("removed", moved.removed), ("replaced", moved.replaced))
    rows = [[sign, code(file.name), count(file.rows), file.version] for sign, files in signs for file in files]
    changes = table(["", "file", "rows", "version"], rows, figures=[2])
    return "\n\n".join(["## data diff", lead, changes, *map(drift_part, moved.drift)]) + "\n"


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
    return "\n\n".join([lead, note, refreshed_part(refreshed)]) + "\n"


def refreshed_part(refreshed: RefreshResult) -> str:
    """Each file whose source has changed, and what is known of what it holds now."""
    unchanged = [f"{code(name)}: unchanged" for name in refreshed.unchanged]
    return "\n\n".join([*unchanged, *map(renewed_section, refreshed.renewed)])


def renewed_section(renewed: FileUpdate) -> str:
    rows = [
        ["version", code(short(renewed.before)), code(short(renewed.after))],
        ["rows", count(renewed.rows_before), count(renewed.rows_after)],
    ]
    findings = findings_table(renewed.findings) if renewed.findings else "No finding."
    parts = [f"### {text(renewed.name)}", table(["", "pinned", "new"], rows, figures=[1, 2]), findings]
    return "\n\n".join([*parts, "#### Drift against the profile", drift_part(renewed.drift)])
