"""Small real models, made within a second from generated rows."""

import warnings
from pathlib import Path

from pushline.data.contract import load_contract
from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.project import Project
from pushline.results import Release
from signed import signed


def make_model(project: Project, folder: Path, seed: int, *, generated_sample: bool = False) -> Path:
    """A model folder as training leaves it; another seed makes another model."""
    from lightgbm import LGBMClassifier

    from pushline.training.explanation import of_trees
    from pushline.training.export import Origin, write_model_folder
    from pushline.training.graph import Calibration, matrix_graph
    from pushline.training.trees import trees_of

    contract = load_contract(project.contract)
    encoding = encoding_of(contract.features())
    rows = sample_rows(load_profile(project.profile), contract, 1500, seed)
    labels, classes = class_codes(contract, rows[contract.label.name]), len(contract.classes)
    trees = LGBMClassifier(n_estimators=20, num_leaves=7, random_state=seed, n_jobs=1, verbose=-1)
    trees.fit(encode_frame(encoding, rows), labels)
    part = trees_of(trees, classes)
    graph = matrix_graph([part], [1.0], Calibration(), columns=len(encoding.columns), classes=classes)
    with warnings.catch_warnings(action="ignore"):  # mlflow warns of its own type hints at its first import
        write_model_folder(
            folder,
            graph.SerializeToString(),
            contract,
            encoding,
            threshold=0.25 if classes == 2 else None,
            algorithm="LightGBM",
            golden=rows.head(20),
            origin=Origin(data_version="0" * 16, git_revision="unknown", generated_sample=generated_sample),
            card="# Model card\n",
            explanation=of_trees([part], [1.0], Calibration(), encoding),
        )
    return signed(folder)


def release_of(model: Path, number: int) -> Release:
    """The release of model version `number`."""
    return Release(id=f"v{number}-test", model_name="model", model_version=str(number), git_revision="test", model=str(model))
