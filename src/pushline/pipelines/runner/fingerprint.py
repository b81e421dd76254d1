"""When finished work may be used again: hashes of what went in, of the code, and of what came out."""

import ast
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pushline.engine import code_of
from pushline.files import content_hash

# What makes the table, and the steps of a training: what they import, its outcome depends on.
STARTS = ("data.checks.check_data", "pipelines.steps.prepare", "pipelines.steps.automl", "pipelines.steps.evaluate")
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
    return fingerprint(
        {
            "values": {name: content_hash(value) if isinstance(value, Path) else str(value) for name, value in values.items()},
            "pipelines": content_hash(file.parent),
            "code": {each.name: content_hash(each) for each in source.iterdir() if each.name != "pushline"} | code_reached(source),
            "packages": {name: content_hash(root / "requirements" / name) for name in PACKAGES},
            **where,
        }
    )


def code_reached(source: Path) -> dict[str, str]:
    """Hashes of the modules that a training imports, at whichever moment; of packages around them, what their import alone runs."""
    reached: dict[str, str] = {}
    seen: set[tuple[str, bool]] = set()
    waiting = [(f"pushline.{name}", True) for name in STARTS]
    while waiting:
        name, called = waiting.pop()
        place = source.joinpath(*name.split("."))
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if (name, called) in seen or not name.startswith("pushline") or not file.is_file():
            continue
        seen.add((name, called))
        content = file.read_bytes()
        reached[name] = hashlib.sha256(content).hexdigest()
        waiting += [(name.rpartition(".")[0], False), *((each, True) for each in imported(ast.parse(content), called=called))]
    return reached


def imported(tree: ast.AST, *, called: bool = True) -> list[str]:
    """The modules that a file imports or names in a text, as `module:function`; but for `called` not those inside of its functions."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return []
    if isinstance(tree, ast.FunctionDef) and not called:
        return []
    if isinstance(tree, ast.Constant):
        return [tree.value.partition(":")[0]] if isinstance(tree.value, str) and tree.value.startswith("pushline.") else []
    if isinstance(tree, ast.Import):
        return [each.name for each in tree.names]
    if isinstance(tree, ast.ImportFrom) and tree.module:
        return [tree.module, *(f"{tree.module}.{each.name}" for each in tree.names)]
    return [name for node in ast.iter_child_nodes(tree) for name in imported(node, called=called)]
