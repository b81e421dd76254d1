"""Mutation testing of the modules on which most depends: `make mutation`, for a night, not for CI.

Each module is changed in hundreds of small ways, one at a time, in a copy of the project; its tests must notice each. The score is
the share that was noticed. What survived is listed, and `mutmut show NAME` in the module's folder below build/mutation/ shows the change.
`SAMPLE=60 make mutation` draws so many changes of each module, the same ones each time: a score in minutes.
"""

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "mutation"
MODULES = {
    "registry/decision": ("tests/registry/test_decision.py", "tests/registry/test_measures.py", "tests/registry/test_quantities.py"),
    "data/contract/split": ("tests/data/contract/test_split.py",),
    "training/prepare": ("tests/training/test_prepare.py",),
    "batch/job": ("tests/batch/test_job.py", "-m", "not slow"),
    "serving/connection": ("tests/serving",),
    "release/state": ("tests/release/test_state.py",),
}
SAMPLE = int(os.environ.get("SAMPLE", "0"))  # 0: all of them
SEED = 7
# Which tests reach a change is noted in the process of the tests alone: another one, whose folder is another, could not.
OTHERS = """import os
if os.environ.get("MUTANT_UNDER_TEST") == "stats":
    os.environ["MUTANT_UNDER_TEST"] = ""
"""
# Each change is tried in a fork, in which no search can be started: the model that tests of batch scoring ask is made before.
MADE_BEFORE = """from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def trained() -> Path:
    return Path({place!r})
"""
COPIED = ("src", "tests", "data_checks", "pipelines", "examples", "load", "docs", "scripts", "pyproject.toml", "data.lock", "README.md")


def copy_of_project(module: str) -> Path:
    """A copy of the project in which mutmut changes this module alone."""
    place = PLACE / module.replace("/", "-")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, place / name)
    (place / "mutants" / "src").mkdir(parents=True)  # Python takes no folder for a source that is not there when it starts
    (place / "mutants" / "src" / "sitecustomize.py").write_text(OTHERS)
    also = [name for name in COPIED if name not in ("src", "tests", "pyproject.toml")]
    with (place / "pyproject.toml").open("a") as settings:
        settings.write(
            "\n[tool.mutmut]\n"
            'source_paths = ["src"]\n'
            f'only_mutate = ["src/pushline/{module}.py"]\n'
            f"also_copy = {also!r}\n"
            f"pytest_add_cli_args_test_selection = {list(MODULES[module])!r}\n"
            'pytest_add_cli_args = ["-p", "no:cacheprovider"]\n'
            "use_git_change_detection = false\n"
        )
    return place


def make_model(place: Path) -> None:
    """Train once for all forks, on the table that `data.lock` pins, and let the tests of batch scoring use it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from pushline.project import Project
    from training.model_folders import make_model_folder
    from working_copy import find_real_data

    table = find_real_data()
    if table is None:
        raise SystemExit("The tests of batch/job need the table that data.lock pins: set PUSHLINE_DATA to it.")
    (place / "trained").mkdir()
    make_model_folder(table, Project(ROOT), place / "trained")
    (place / "tests" / "batch" / "conftest.py").write_text(MADE_BEFORE.format(place=str(place / "trained")))


def mutate(module: str) -> tuple[dict[str, int], list[str]]:
    """How many changes came to which end, and the names of those that no test noticed."""
    place = copy_of_project(module)
    if module == "batch/job":
        make_model(place)
    environment = {**os.environ, "PYTHONPATH": str(place / "mutants" / "src")}  # of the processes that tests start
    with (place / "mutmut.log").open("wb") as log:

        def run(*names: str) -> int:
            return subprocess.run(["mutmut", "run", *names], check=False, cwd=place, env=environment, stdout=log, stderr=log).returncode

        sample: list[str] = []
        if SAMPLE:
            run("no change has this name")  # all of them are written, and none is tried
            names = [name for name, _ in ends_of(place)]
            sample = random.Random(SEED).sample(names, min(SAMPLE, len(names)))  # noqa: S311
        ended = run(*sample)
    ends = [(name, end) for name, end in ends_of(place) if not sample or name in sample]
    if not ends:
        raise SystemExit(f"mutmut ended with {ended} and no result for {module}: see {place / 'mutmut.log'}.")
    counts = {end: sum(other == end for _, other in ends) for end in sorted({end for _, end in ends})}
    return counts, [name for name, end in ends if end not in ("killed", "timeout", "caught by type check")]


def ends_of(place: Path) -> list[tuple[str, str]]:
    """What came of each change: its name and its end."""
    told = subprocess.run(["mutmut", "results", "--all", "true"], check=False, cwd=place, capture_output=True, text=True).stdout
    return re.findall(r"^\s*(\S+): (.+)$", told, re.MULTILINE)


def main() -> int:
    for module in sys.argv[1:] or MODULES:
        if module not in MODULES:
            sys.stderr.write(f"There is no {module}: it knows {', '.join(MODULES)}.\n")
            return 2
        counts, survived = mutate(module)
        made = sum(counts.values())
        sys.stdout.write(f"{module}: {(made - len(survived)) / made:.1%} of {made} noticed ({counts})\n")
        sys.stdout.writelines(f"  {name}\n" for name in survived)
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
