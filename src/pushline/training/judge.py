"""`pushline evaluate`: what a model version does on any labelled file, which need not be the one it was made from."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushline.data.contract import Contract
from pushline.data.files.reading import read_file
from pushline.data.files.table import TYPES, database, literal, name_of
from pushline.data.files.version import table_of as version_of_file
from pushline.data.sources.fetch import TABLES, DataLocations
from pushline.data.sources.lock import load_lock
from pushline.errors import CriticalFindings, DataCorrupt, DataError, SettingsError
from pushline.evaluation import Evaluation
from pushline.files import cannot_write, content_hash, write_json
from pushline.progress import Progress
from pushline.project import Project
from pushline.registry.holdout import FILES
from pushline.registry.store import version_or_champion
from pushline.results import Interval, Part
from pushline.serving.model_folder import MATRIX, read_contract, read_scoring
from pushline.training.evaluate import evaluate, worthless
from pushline.training.prepare import reasons_of

if TYPE_CHECKING:
    import pandas as pd

    from pushline.registry.store import ModelStore, ModelVersion

PLACE = "evaluate"
EVALUATION = "evaluation.json"
DEFAULT_METRIC = {"classification": "average_precision", "regression": "rmse"}


class JudgedVersion(Part, frozen=True, kw_only=True):
    """A model version on a file: what `pushline evaluate` answers."""

    version: str
    file: str
    sha256: str
    rows: int  # that were judged
    rejected: dict[str, int]  # rows that were not, by reason
    metric: str
    metrics: dict[str, Interval]
    baseline: dict[str, float]
    threshold: float | None
    worthless: bool
    learned_from: bool  # the model was made from this very file, so the figures flatter it
    known_rows: int | None  # of `rows`, also in the files it was made from; None where those are not on this machine
    evaluation: str  # JSON, pushline.evaluation.Evaluation


def judge(
    project: Project, store: "ModelStore", file: Path, version: str | None, *, progress: Progress, local: Path | None = None
) -> JudgedVersion:
    """Evaluate a version (by default the champion) on the labelled `file`, CSV or Parquet; leaves build/evaluate/evaluation.json.

    Rows that break the contract the model was trained under are counted and left out. Raises CriticalFindings where the
    file can't be read as such a table, DataError where a class has no row, RegistryError for a version there is none of.
    `local`: PUSHLINE_DATA, where the data that the version was made from may be.
    """
    found = version_or_champion(store, version or None)
    folder = store.download(found.version)
    contract, scoring = read_contract(folder), read_scoring(folder)
    progress(f"Reading {file.name} under the contract of version {found.version}.")
    frame = table_of(file, contract)
    reasons = reasons_of(frame, contract)
    judged = frame[reasons == ""].reset_index(drop=True)
    refuse_one_class(judged, contract, file, rejected_of(reasons))
    metric = found.tags.get("metric") or DEFAULT_METRIC[contract.task]
    model = (folder / MATRIX).read_bytes()
    progress(f"Judging {len(judged):,} rows.")
    seen = evaluate(model, judged, contract, scoring.encoding, threshold=scoring.threshold, level=scoring.level, metric=metric)
    place = project.build / PLACE / EVALUATION
    write_json(place, seen)
    versions = {scoring.data_version, *found.tags.get(FILES, "").split(",")} - {""}
    known = known_rows(judged, contract, files_of(project, contract, versions, local))
    learned = known_version(file, contract.delimiter) in versions
    return judged_version(found, file, seen, rejected_of(reasons), place, learned=learned, known=known)


def files_of(project: Project, contract: Contract, versions: set[str], local: Path | None) -> list[Path]:
    """The pinned files of these data versions; none where one is not on this machine, for nothing is downloaded."""
    try:
        lock = load_lock(project.data_lock)
        wanted = [pinned for pinned in lock.files if pinned.version in versions or lock.version in versions]
        places = DataLocations(project.state / "cache", local, contract.delimiter, lambda line: None, own=project.root / TABLES)
        found = [places.committed(pinned) or places.cached(pinned) or places.at_hand(pinned) for pinned in wanted]
    except (SettingsError, DataError):
        return []
    return [Path(data.path) for data in found if data] if all(found) else []


def known_rows(judged: "pd.DataFrame", contract: Contract, files: list[Path]) -> int | None:
    """How many rows these files hold too as a model sees them, label and all; None where there is no file to tell by."""
    seen = (*contract.features(), contract.label)
    numbers = [f"c{number}" for number in range(len(seen))]  # so that no column is called like one of ours
    kinds = ["FLOAT" if column.type in ("integer", "number") else TYPES[column.type] for column in seen]
    columns = ", ".join(
        f"CAST({name_of(column.name)} AS {kind}) AS {number}" for column, kind, number in zip(seen, kinds, numbers, strict=True)
    )
    rows = ", ".join(f"CAST({number} AS {kind}) AS {number}" for kind, number in zip(kinds, numbers, strict=True))
    same = " AND ".join(f"held.{number} IS NOT DISTINCT FROM known.{number}" for number in numbers)
    with tempfile.TemporaryDirectory(prefix="pushline-evaluate-") as name, database() as connection:
        parts = [read_file(file, contract, Path(name), Path(name) / f"{at}.parquet").parts for at, file in enumerate(files)]
        if not parts or None in parts:
            return None
        known = " UNION ALL ".join(f"SELECT {columns} FROM read_parquet({literal(str(part))})" for part in parts)  # noqa: S608 - quoted
        connection.register("judged", judged[[column.name for column in seen]].set_axis(numbers, axis="columns"))
        held = f"SELECT count(*) FROM (SELECT {rows} FROM judged) AS held"  # noqa: S608 - quoted
        found = connection.execute(f"{held} SEMI JOIN ({known}) AS known ON {same}").fetchone()
    return int(found[0]) if found else None


def judged_version(
    found: "ModelVersion", file: Path, seen: Evaluation, rejected: dict[str, int], place: Path, *, learned: bool, known: int | None
) -> JudgedVersion:
    return JudgedVersion(
        version=found.version,
        file=str(file),
        sha256=content_hash(file),
        rows=seen.rows,
        rejected=rejected,
        metric=seen.metric,
        metrics=seen.metrics,
        baseline=seen.baseline,
        threshold=seen.threshold,
        worthless=worthless(seen),
        learned_from=learned,
        known_rows=known,
        evaluation=str(place),
    )


def known_version(file: Path, delimiter: str) -> str:
    """The file's data version; empty for a file that has none."""
    try:
        return version_of_file(file, delimiter).version
    except DataCorrupt:
        return ""


def table_of(file: Path, contract: Contract) -> "pd.DataFrame":
    """The rows of a labelled file with the contract's types. Raises CriticalFindings where it can't be read as such."""
    import pandas as pd

    try:
        scratch = tempfile.TemporaryDirectory(prefix="pushline-evaluate-")
    except OSError as error:
        raise cannot_write(Path(tempfile.gettempdir()), error) from error
    with scratch as name:
        reading = read_file(file, contract, Path(name), Path(name) / "table.parquet")
        frame = pd.read_parquet(reading.parts) if reading.parts is not None else None
    lacking = [] if frame is None else [column.name for column in contract.columns if column.name not in frame]
    if frame is not None and not lacking:
        return frame
    worst = next((finding.message for finding in reading.findings if finding.severity == "critical"), "it holds no table")
    raise CriticalFindings(
        f"{file.name} is not a labelled table of this model.",
        why=f"It lacks {', '.join(lacking)}." if lacking else worst,
        do=f"`pushline check-data {file}` says all that is wrong with it.",
    )


def rejected_of(reasons: "pd.Series[Any]") -> dict[str, int]:
    """How many rows break the contract, by reason."""
    return {str(reason): int(count) for reason, count in reasons[reasons != ""].value_counts().items()}


def refuse_one_class(judged: "pd.DataFrame", contract: Contract, file: Path, rejected: dict[str, int]) -> None:
    if judged[contract.label.name].nunique() < 2:
        broken = "; ".join(f"{count:,} rows: {reason}" for reason, count in rejected.items())
        none = f"No row keeps the contract: {broken}." if broken else "It has no row."
        raise DataError(
            f"{file.name} can't judge a model.",
            why=f"Of its rows that keep the contract, {len(judged)}, all have one label." if len(judged) else none,
            do="Bring rows of every class that keep the contract the model was trained under.",
        )


def lines_of(judged: JudgedVersion) -> list[str]:
    """What a person reads: a line a figure, beside what a score that knows nothing reaches."""
    from pushline.training.card import NAMES

    lines = [f"version {judged.version} on {judged.rows:,} rows of {Path(judged.file).name}"]
    for name, one in judged.metrics.items():
        nothing = f", knows nothing {judged.baseline[name]:.4f}" if name in judged.baseline else ""
        lines.append(f"{NAMES.get(name, name)}: {one.value:.4f} ({one.low:.4f} to {one.high:.4f}){nothing}")
    lines += [f"left out, {count:,} rows: {reason}" for reason, count in judged.rejected.items()]
    if judged.learned_from:
        lines.append("The model was made from this very file: the figures flatter it.")
    if judged.known_rows:
        lines.append(
            f"{judged.known_rows:,} of these {judged.rows:,} rows are in the data that version {judged.version} was made from: "
            "where it was trained on them, the figures flatter it."
        )
    elif judged.known_rows is None and not judged.learned_from:
        lines.append("Whether it was trained on some of these rows is not known: the data it was made from is not on this machine.")
    if judged.worthless:
        lines.append("This model can't be told from a score that knows nothing on these rows.")
    lines.append(f"evaluation: {judged.evaluation}")
    return lines
