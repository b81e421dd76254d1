"""Drift and new data as lines for a terminal and as Markdown for a job summary."""

from pushline.data.drift import ColumnDrift, Drift
from pushline.report.figures import count, counted, decimal, short, visible
from pushline.report.markdown import code, table, text

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
