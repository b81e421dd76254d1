"""When finished work may be used again: hashes of what went in, of the code, and of what came out."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pushline.engine import code_of
from pushline.files import content_hash

# Folders of the code that no step of a training imports; a test follows the steps' imports.
BESIDE_TRAINING = frozenset({"adopt", "azure", "batch", "cli", "doctor", "github", "release", "report", "template", "__pycache__"})
PACKAGES = ("steps.txt", "training.Dockerfile")
ONLY_TOLD = frozenset({"git_revision"})  # inputs that a training records and that don't change what it finds


def packages_hash() -> str:
    """Changes with the interpreter and with the version of anything installed.

    The names of the folders say both name and version; reading every package's metadata for it would take most of a second.
    """
    places = [Path(place) for place in sys.path if Path(place).is_dir()]
    installed = sorted({found.name for place in places for kind in ("*.dist-info", "*.egg-info") for found in place.glob(kind)})
    return hashlib.sha256("\n".join([sys.version, *installed]).encode()).hexdigest()


def fingerprint(parts: Mapping[str, object]) -> str:
    """One hash of everything that a step's outcome depends on."""
    return hashlib.sha256(msgspec.json.encode(dict(parts), order="deterministic")).hexdigest()


def training_fingerprint(root: Path, file: Path, inputs: Mapping[str, object], **where: object) -> str:
    """Identity of a training: version of its data, contract, profile, settings, pipelines, packages and the code that its steps run.

    Two commits with the same one get the same model, so the second needs no training. `inputs` are those of the pipeline `file`;
    `where` is what else the outcome depends on, such as the size of the machines.
    """
    values = {name: value for name, value in inputs.items() if name not in ONLY_TOLD}
    values["data"] = inputs["data_version"]
    source = code_of(root)
    parts = [*(each for each in source.iterdir() if each.name != "pushline"), *(source / "pushline").iterdir()]
    return fingerprint(
        {
            "values": {name: content_hash(value) if isinstance(value, Path) else str(value) for name, value in values.items()},
            "pipelines": content_hash(file.parent),
            "code": {each.name: content_hash(each) for each in parts if each.name not in BESIDE_TRAINING},
            "packages": {name: content_hash(root / "requirements" / name) for name in PACKAGES},
            **where,
        }
    )
