"""A project whose registry holds model versions, without a training run for each."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from models_made import make_model
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.travel import relocate
from pushline.settings import load_settings

GOOD, BETTER, REFUSED, GENERATED = "1", "2", "3", "4"


def register_versions(project: Project, place: Path, versions: Sequence[str] = (GOOD, BETTER, REFUSED, GENERATED)) -> None:
    """Version 1 and 2 were accepted, 3 was not, 4 was and comes of a generated sample."""
    store = open_store(project, load_settings(project.root, {}))
    for number in versions:
        model = make_model(project, place / number, seed=int(number), generated_sample=number == GENERATED)
        dataset = {"name": "shop", "version": "1", "digest": "1", "source": "test"}
        run = store.log_training(parameters={}, metrics={}, tags={}, dataset=dataset, model=model, artifacts={})
        accepted = number != REFUSED
        store.register(run, {"accepted": str(accepted).lower(), "reason": "it is better" if accepted else "it is worse than the champion"})


def copy_registry(of: Project, to: Project) -> None:
    """Give a project the registry of another one."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(to.state)
    shutil.copytree(of.state, to.state)
    relocate(to.state, str(of.root), str(to.root))
