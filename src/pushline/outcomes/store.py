"""Every outcome that was ever told, a Parquet file for each addition: `.pushline/outcomes/000001-<sha256>.parquet`.

A file is whole or not there, so a kill costs at most the addition that was going on. Nothing is overwritten: of several outcomes of one
row the one that became known last counts, and of those known at the same time the one that was added last.
"""

from pathlib import Path

from pushline.data.contract import Contract
from pushline.data.files.table import database, literal
from pushline.data.profile.recorded import LIVE, day_tables
from pushline.errors import DataUnavailable
from pushline.files import scratch, sha256_of, whole_file
from pushline.outcomes.file import key_of, read_outcomes
from pushline.project import Project
from pushline.results import Part

DAYS = Path("records")  # under .pushline/: the prediction log's days as Parquet
FOLDER = "outcomes"
NONE = "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS outcome, NULL::TIMESTAMP AS known_at, NULL::VARCHAR AS after WHERE false"


class OutcomesResult(Part, frozen=True, kw_only=True):
    """What `pushline outcomes add` did with the rows of a file."""

    file: str
    rows: int
    new: int
    corrected: int  # the outcome was another one before, which is kept
    late: int  # known earlier than the one that counts: kept, and it does not count
    unchanged: int
    waiting: int  # without an outcome yet
    unknown: int  # of `new`: of rows that the prediction log does not hold; kept
    outcomes: int  # known by now, of all rows


def parts_of(project: Project) -> list[Path]:
    return sorted((project.state / FOLDER).glob("[0-9]*.parquet"))


def newest_outcomes(project: Project) -> str:
    """SQL for what counts: key, outcome, known_at and after, a row a key."""
    parts = parts_of(project)
    if not parts:
        return NONE
    listed = f"read_parquet([{', '.join(literal(str(part)) for part in parts)}], filename=true)"
    if len(parts) == 1:
        return f"SELECT key, outcome, known_at, after FROM {listed}"
    newest = "arg_max(struct_pack(outcome, known_at, after), struct_pack(known_at, filename))"
    return f"SELECT key, unnest(newest) FROM (SELECT key, {newest} AS newest FROM {listed} GROUP BY key)"


def logged_rows(project: Project, contract: Contract) -> str:
    """SQL for the rows of the prediction log. Raises DataUnavailable where it holds none."""
    tables = day_tables(project.state / LIVE, contract, project.state / DAYS)
    if not tables:
        raise DataUnavailable(
            f"The prediction log in {project.state / LIVE} is empty.",
            why="The service keeps rows only where the setting serving.record says so, for serving.record_days.",
            do="Set `record` in [tool.pushline.serving], and record_days to more than outcomes take to become known.",
        )
    return f"read_parquet([{', '.join(literal(str(table)) for table in tables)}])"


def add(project: Project, contract: Contract, keys: tuple[str, ...], file: Path) -> OutcomesResult:
    """Keep the outcomes of `file` that say something new. The same file a second time changes nothing.

    Raises DataUnavailable where there is no such file, CriticalFindings where it holds no outcomes.
    """
    if not file.is_file():
        raise DataUnavailable(f"{file} does not exist.", do="Name a CSV or Parquet file of outcomes.")
    place, parts, digest = project.state / FOLDER, parts_of(project), sha256_of(file)[:16]
    known = any(part.stem.endswith(digest) for part in parts)
    with scratch(place) as folder, database() as connection:
        waiting = read_outcomes(connection, file, contract, keys, folder)
        connection.execute(
            "CREATE TEMP TABLE changes AS WITH told AS (SELECT key, unnest(arg_max(struct_pack(outcome, known_at, after), known_at)) "
            f"FROM told WHERE outcome IS NOT NULL GROUP BY key), known AS ({newest_outcomes(project)}) "
            "SELECT told.*, CASE WHEN known.key IS NULL THEN 'new' WHEN known.outcome = told.outcome THEN 'unchanged' "
            "WHEN told.known_at < known.known_at THEN 'late' ELSE 'corrected' END AS change FROM told LEFT JOIN known USING (key)"
        )
        counts = dict(connection.execute("SELECT change, count(*) FROM changes GROUP BY change").fetchall())
        rows, repeated = connection.execute("SELECT count(*), count(outcome) - count(DISTINCT key) FROM told").fetchone() or (0, 0)
        if known:  # nothing of it is news, whatever was corrected since
            counts = {"unchanged": sum(counts.values())}
        kept = sum(counts.values()) - counts.get("unchanged", 0)
        if kept:
            number = int(parts[-1].name.split("-")[0]) + 1 if parts else 1
            chosen = "SELECT key, outcome, known_at, after FROM changes WHERE change <> 'unchanged'"
            with whole_file(place / f"{number:06}-{digest}.parquet", mode=0o600) as half:
                connection.execute(f"COPY ({chosen}) TO {literal(str(half))} (FORMAT parquet, COMPRESSION zstd)")
        unknown = counts.get("new", 0)
        if unknown and (log := rows_or_none(project, contract)):
            seen = f"SELECT hash({key_of(keys, 'row.')}) FROM {log}"
            counted = connection.execute(f"SELECT count(*) FROM changes WHERE change = 'new' AND hash(key) NOT IN ({seen})").fetchone()
            unknown = counted[0] if counted else 0
        total = connection.execute(f"SELECT count(*) FROM ({newest_outcomes(project)})").fetchone() or (0,)
    return OutcomesResult(
        file=str(file),
        rows=rows,
        new=counts.get("new", 0),
        corrected=counts.get("corrected", 0),
        late=counts.get("late", 0),
        unchanged=counts.get("unchanged", 0) + max(0, repeated),
        waiting=waiting,
        unknown=unknown,
        outcomes=total[0],
    )


def rows_or_none(project: Project, contract: Contract) -> str:
    try:
        return logged_rows(project, contract)
    except DataUnavailable:
        return ""
