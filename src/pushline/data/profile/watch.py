"""Drift of what a person points at: a file, or the inputs that the service recorded."""

from pathlib import Path

from pushline.data.contract import Contract
from pushline.data.files.reading import read_file
from pushline.data.profile.drift import Drift, drift_of
from pushline.data.profile.profile import load_profile
from pushline.data.profile.recorded import LIVE, write_recorded
from pushline.errors import DataCorrupt, DriftFound
from pushline.files import scratch
from pushline.project import Project


def drift_of_file(project: Project, contract: Contract, file: Path) -> Drift:
    """The drift of a CSV or Parquet file, with or without the label and the columns known only after the event.

    Raises DataUnavailable where there is no such file, DataCorrupt where it can't be read as the contract's table or lacks
    a column that the model needs.
    """
    profile = load_profile(project.profile)
    with scratch(project.state / "drift") as folder:
        reading = read_file(file, contract, folder, folder / "table.parquet")
        lacking = [column.name for column in contract.features() if column.name not in reading.columns.values()]
        if reading.parts is None or lacking:
            first = next((finding.message for finding in reading.findings if finding.severity == "critical"), "")
            raise DataCorrupt(
                f"{file.name} can't be held against the profile.",
                why=first or f"It lacks {', '.join(lacking)}.",
                do=f"`pushline check-data {file}` says more.",
            )
        return drift_of(reading.parts, contract, profile, file.name)


def drift_of_recorded(
    project: Project, contract: Contract, *, folder: Path | None = None, days: float | None = None, version: str | None = None
) -> Drift:
    """The drift of the inputs that the service kept, by default the live release's. Raises DataUnavailable where there are none."""
    profile = load_profile(project.profile)
    with scratch(project.state / "drift") as place:
        table = place / "table.parquet"
        write_recorded(folder or project.state / LIVE, contract, table, days=days, version=version)
        return drift_of(table, contract, profile, "recorded inputs")


def refuse(drift: Drift) -> None:
    """Raises DriftFound where the verdict is drift."""
    if drift.verdict != "drift":
        return
    first = drift.columns[0]
    raise DriftFound(
        f"{drift.source} has drifted in {len(drift.drifted)} of {len(drift.columns)} columns: {', '.join(drift.drifted[:5])}.",
        why=f"{first.column}: {first.moved}; index {first.statistic:g}, threshold {first.threshold:g}.",
        do="Measure the model on new labelled rows with `pushline evaluate`, or add them with `pushline data add` and retrain.",
    )
