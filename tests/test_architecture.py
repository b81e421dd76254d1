"""The house rules that a reviewer would otherwise have to remember."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pushline.data.contract import load_contract
from pushline.delivery import STAGES
from pushline.results import Result

SOURCE = Path(__file__).resolve().parent.parent / "src" / "pushline"
MODULES = sorted(SOURCE.rglob("*.py"))

# What a room may import. Imports point downwards: cli, then release, pipelines, report, then training, registry, serving, then data.
GROUND = {
    "settings", "costs", "errors", "files", "locks", "project", "results", "evaluation", "stopping", "wording", "progress", "arrays",
    "background", "engine", "guard", "signing",
}  # fmt: skip
ALLOWED = {
    "signing": GROUND,
    "data": GROUND,
    "serving": GROUND | {"data"},
    "registry": GROUND | {"data", "serving"},
    "training": GROUND | {"data", "serving", "registry", "pipelines"},
    "pipelines": GROUND | {"batch", "data", "serving", "registry", "training"},
    "release": GROUND | {"data", "serving", "registry"},
    "azure": GROUND | {"batch", "data", "serving", "registry", "release", "pipelines", "training"},
    "adopt": GROUND | {"data", "training", "report", "template"},
    "report": GROUND | {"data", "serving", "registry", "release"},
    "batch": GROUND | {"data", "registry", "serving"},
    "github": GROUND | {"data", "registry"},
    "outcomes": GROUND | {"data"},
    "performance": GROUND | {"data", "delivery", "outcomes", "registry", "report", "serving", "training"},
    "upgrade": GROUND | {"adopt", "data", "github", "report", "template"},
}
# Packages that take long to import or that the bare install lacks: only inside the function that needs them.
HEAVY = {
    "azure", "catboost", "duckdb", "flaml", "great_expectations", "imblearn", "lightgbm", "locust", "matplotlib", "mlflow", "onnx",
    "onnxruntime", "pandas", "pyarrow", "requests", "rich", "skl2onnx", "sklearn", "sqlalchemy", "xgboost",
}  # fmt: skip
# Modules that are themselves imported only where they are needed: a worker process, a subclass of a heavy package's class.
NOTHING_ELSE = {"serving/scorer.py", "serving/worker.py", "data/checks/duckdb_dialect.py"}
# Words of the language that are also columns of the example: alone they say nothing, two together in one literal do.
ALSO_WORDS = {"age", "campaign", "contact", "default", "duration", "education", "housing", "job", "loan", "month", "previous", "y"}


def name_of(module: Path) -> str:
    return str(module.relative_to(SOURCE))


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


@cache
def imports_of(module: Path, *, deep: bool) -> set[str]:
    """Dotted names that a module imports; `deep` looks into functions too."""
    found: set[str] = set()
    for node in tree_of(module).body:
        if only_for_types(node):
            continue
        for inner in ast.walk(node) if deep else at_import(node):
            if isinstance(inner, ast.Import):
                found |= {alias.name for alias in inner.names}
            elif isinstance(inner, ast.ImportFrom) and inner.module:
                found |= {f"{inner.module}.{alias.name}" for alias in inner.names}
    return found


def at_import(node: ast.AST) -> list[ast.AST]:
    """The node and what in it runs when the module is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or only_for_types(node):
        return []
    return [node, *(deeper for child in ast.iter_child_nodes(node) for deeper in at_import(child))]


def upwards_of(module: Path) -> set[str]:
    """The rooms that a module imports though it may not."""
    room = module.relative_to(SOURCE).parts[0]
    if room not in ALLOWED:
        return set()
    ours = {name.split(".")[1] for name in imports_of(module, deep=True) if name.startswith("pushline.")}
    upwards = {name for name in ours if (SOURCE / name).is_dir() or (SOURCE / f"{name}.py").is_file()} - ALLOWED[room] - {room}
    # open_store and open_target are the two doors through which the cloud may come in
    doors = ("registry/__init__.py", "release/__init__.py", "training/stage.py", "pipelines/__init__.py")
    return upwards - {"azure"} if name_of(module) in doors else upwards


def test_imports_point_downwards() -> None:
    assert not {name_of(module): upwards for module in MODULES if (upwards := upwards_of(module))}


def test_heavy_packages_are_imported_where_they_are_needed() -> None:
    early = {name_of(m): {name.split(".")[0] for name in imports_of(m, deep=False)} & HEAVY for m in MODULES}
    assert not {module: heavy for module, heavy in early.items() if heavy and module not in NOTHING_ELSE}


def test_credentials_have_one_home() -> None:
    homes = [name_of(m) for m in MODULES if any(n.startswith("azure.identity") for n in imports_of(m, deep=True))]
    assert homes in ([], ["azure/credential.py"])


def test_only_the_azure_room_imports_azure() -> None:
    strangers = {
        name_of(m): sorted(n for n in imports_of(m, deep=True) if n.split(".")[0] == "azure")
        for m in MODULES
        if not name_of(m).startswith("azure/")
    }
    strangers = {m: [n for n in names if not n.startswith("azure.monitor.opentelemetry")] for m, names in strangers.items()}
    assert not {m: names for m, names in strangers.items() if names}


def test_the_command_line_imports_nothing_heavy() -> None:
    code = "import sys, pushline.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & (HEAVY | {"numpy", "yaml"})


def test_a_stage_has_one_name_everywhere() -> None:
    import pushline.cli

    results = [kind.stage for kind in Result.__subclasses__()]
    assert list(STAGES) == results
    assert set(STAGES) <= set(pushline.cli.pushline.commands)
    for stage, function in STAGES.items():
        assert function.__name__ == stage.replace("-", "_")


@cache
def columns_of_the_example(repo: Path) -> set[str]:
    return {column.name for column in load_contract(repo / "data_checks" / "contract.yml").columns}


@pytest.mark.example
def test_no_column_of_the_example_is_named_outside_its_files(repo: Path) -> None:
    distinctive = columns_of_the_example(repo) - ALSO_WORDS
    files = [
        file for place in ("src", "load", ".github") for file in (repo / place).rglob("*") if file.suffix in {".py", ".yml", ".html", ".j2"}
    ]
    assert files
    found = {
        (str(file.relative_to(repo)), name)
        for file in files
        for name in distinctive
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", file.read_text(encoding="utf-8"))
    }
    assert not found


@pytest.mark.example
def test_no_collection_lists_columns_of_the_example(repo: Path) -> None:
    columns, found = columns_of_the_example(repo), []
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
                elements = [key for key in node.keys if key] if isinstance(node, ast.Dict) else node.elts
                words = {e.value for e in elements if isinstance(e, ast.Constant) and isinstance(e.value, str)} & columns
                found += [f"{name_of(module)}, line {node.lineno}: {sorted(words)}"] if len(words) >= 3 else []
    assert not found


def test_modules_are_small() -> None:
    lines = {name_of(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert not {module: number for module, number in lines.items() if number > 400}


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "base"])
def test_no_module_is_named_for_nothing(word: str) -> None:
    assert not [name_of(module) for module in MODULES if module.stem == word]
