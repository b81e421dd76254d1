"""How far a scored file is from the data the model learned from."""

from pathlib import Path

from pushline.batch.job import BatchResult
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.drift import Drift, drift_of
from pushline.project import Project


def drift_of_sample(project: Project, ended: BatchResult) -> Drift | None:
    """The drift of the rows that the job kept for it, which are removed; None where it kept none or there is no profile."""
    if ended.sample is None:
        return None
    sample = Path(ended.sample)
    try:
        if not project.profile.is_file():
            return None
        return drift_of(sample, load_contract(project.contract), load_profile(project.profile), Path(ended.input).name)
    finally:
        sample.unlink(missing_ok=True)
