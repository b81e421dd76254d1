"""The small repository that `pushline new` and `pushline adopt` leave: how much is in it, what is not, and that it works by itself."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from adopt.tables import Make, Table, decimal_commas, not_ascii, odd_names, orders, sixty_rows, three_classes, two_hundred_columns
from command import Ran, run_cli
from pushline.data.contract.contract import load_contract
from pushline.project import Project
from pushline.template.answers import load_record
from test_architecture import ALSO_WORDS
from working_copy import copy_project, git, tracked_files

pytestmark = pytest.mark.slow

FILES, LINES = 60, 3000
NOT_COUNTED = re.compile(r"requirements/.*\.txt|vendor/.*|data/.*|data\.lock|data_checks/profile\.json")
A_LINE_A_COLUMN = ("data_checks/contract.yml", "template.json")


def new(project: Project, folder: Path, table: Table | None, *options: str) -> Ran:
    about = ["--table", str(table.file), "--label", table.label, *table.options] if table else []
    return run_cli(project, "new", str(folder), *about, *options)


def texts_of(folder: Path) -> dict[str, str]:
    counted = [name for name in tracked_files(folder) if not NOT_COUNTED.fullmatch(name)]
    return {name: (folder / name).read_text(encoding="utf-8") for name in counted}


@pytest.mark.parametrize("make", [sixty_rows, three_classes, decimal_commas, orders, two_hundred_columns, not_ascii, odd_names])
def test_a_small_repository_is_small_and_holds_nothing_of_the_engine_or_of_the_example(
    make: Make, project: Project, repo: Path, tmp_path: Path
) -> None:
    ended = new(project, tmp_path / "own", make(tmp_path))
    assert ended.code == 0, ended.err
    texts = texts_of(tmp_path / "own")
    columns = len(load_contract(tmp_path / "own" / "data_checks" / "contract.yml").columns)
    wide = A_LINE_A_COLUMN if columns > 100 else ()  # what describes each column is as long as the table is wide
    assert len(texts) <= FILES
    assert sum(len(text.splitlines()) for name, text in texts.items() if name not in wide) <= LINES
    assert [name for name in texts if name.startswith(("src/", "docs/"))] == []
    engine = {file.name for file in (repo / "src" / "pushline").rglob("*.py")} - {"__init__.py", "rules.py"}
    assert {Path(name).name for name in texts} & engine == set()
    if make is not odd_names:  # it calls its own columns so
        contract = load_contract(repo / "data_checks" / "contract.yml")
        names = {column.name for column in contract.columns} - ALSO_WORDS | {contract.name, contract.title, "bank"}
        trace = re.compile("|".join(rf"(?<![\w.-]){re.escape(name)}(?![\w-])" for name in sorted(names)), re.IGNORECASE)
        assert {(name, found[0]) for name, text in texts.items() if (found := trace.search(text))} == set()
    ruff = str(Path(sys.executable).with_name("ruff"))
    for arguments in (["check"], ["format", "--check"]):
        ran = subprocess.run([ruff, *arguments, "."], cwd=tmp_path / "own", capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-2000:]


def test_new_without_a_table_is_the_example_in_small(project: Project, repo: Path, tmp_path: Path) -> None:
    assert new(project, tmp_path / "own", None).code == 0
    for name in ("data_checks/contract.yml", "data_checks/rules.py", "pipelines/train.yml", "data.lock"):
        assert (tmp_path / "own" / name).read_bytes() == (repo / name).read_bytes()


def test_new_touches_no_folder_with_something_in_it(project: Project, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine\n")
    stopped = new(project, tmp_path / "own", sixty_rows(tmp_path))
    assert (stopped.code, "not empty" in stopped.err) == (2, True)
    assert [file.name for file in (tmp_path / "own").iterdir()] == ["notes.txt"]


def test_what_can_not_be_adopted_leaves_no_folder(project: Project, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("a,b\n1,2\n")
    assert new(project, tmp_path / "own", Table(tmp_path / "one.csv", "b")).code != 0
    assert [file.name for file in tmp_path.iterdir() if "own" in file.name] == []


def test_a_repository_with_its_engine_from_an_index_is_pinned_by_the_same_hash(project: Project, tmp_path: Path) -> None:
    assert new(project, tmp_path / "own", None, "--engine", "index").code == 0
    record = load_record(tmp_path / "own")
    assert record is not None
    assert not (tmp_path / "own" / "vendor").exists()
    assert f"--hash=sha256:{record.engine.sha256}" in (tmp_path / "own" / "requirements" / "dev.txt").read_text()


# A repository from before the engine was a package.


@pytest.fixture(scope="module")
def older(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One that adopted orders with the engine in src/, and was worked on since."""
    folder = tmp_path_factory.mktemp("older")
    table, made = orders(folder), folder / "made"
    made.mkdir()
    project = copy_project(repo, made, with_tests=True)
    small = folder / "small"
    assert new(project, small, table, "--in-git").code == 0
    for name in ("data_checks/contract.yml", "data_checks/rules.py", "data_checks/profile.json", "data.lock", "pipelines/train.yml"):
        (made / name).write_bytes((small / name).read_bytes())
    record = load_record(small)
    assert record is not None
    assert record.answers.draft is not None
    draft = msgspec.to_builtins(record.answers.draft)
    before = {"schema": 1, **{key: draft[key] for key in ("file", "contract", "settings", "files")}}
    (made / "data_checks" / "adopted.json").write_bytes(msgspec.json.encode(before))
    git("add", "-A", cwd=made)
    git("commit", "-q", "-m", "Adopt", cwd=made)
    edit(made / "data_checks" / "contract.yml", "maximum: 43", "maximum: 44")
    edit(made / ".github" / "workflows" / "deliver.yml", "timeout-minutes: 360", "timeout-minutes: 300")
    edit(made / "pyproject.toml", "rate = 50", "rate = 70")
    edit(made / "src" / "pushline" / "wording.py", '"""', '"""Mine: ')
    (made / "tests" / "test_mine.py").write_text("def test_mine() -> None:\n    assert True\n")
    (made / "analysis.md").write_text("What we found.\n")
    git("add", "-A", cwd=made)
    git("commit", "-q", "-m", "Work", cwd=made)
    return project


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.unlink()  # copies of the engine's files are links
    file.write_text(text.replace(before, after, 1))


def test_an_older_repository_becomes_small_by_one_command_and_keeps_what_its_owner_wrote(older: Project) -> None:
    root = older.root
    before = {name: (root / name).read_bytes() for name in tracked_files(root)}
    shown = run_cli(older, "adopt", "--thin")
    assert (shown.code, "Nothing was written" in shown.out) == (0, True), shown.err
    ended = run_cli(older, "adopt", "--thin", "--apply")
    assert ended.code == 0, ended.err
    assert not (root / "src").exists()
    assert load_contract(older.contract).by_name["visits"].maximum == 44
    deliver = yaml.safe_load((root / ".github" / "workflows" / "deliver.yml").read_text())
    assert deliver["jobs"]["train"]["timeout-minutes"] == 300
    settings = (root / "pyproject.toml").read_text()
    assert "rate = 70" in settings
    assert "pushline[" in settings
    assert (root / "tests" / "test_mine.py").is_file()
    assert (root / "analysis.md").is_file()
    assert "Mine: " in (root / "engine-changes.patch").read_text()
    assert load_record(root) is not None
    assert len(texts_of(root)) <= FILES + 3
    undone = run_cli(older, "adopt", "--undo")
    assert undone.code == 0, undone.err
    assert {name: (root / name).read_bytes() for name in tracked_files(root)} == before


def test_a_table_is_adopted_into_an_older_repository_only_once_it_is_small(older: Project, tmp_path: Path) -> None:
    table = sixty_rows(tmp_path)
    stopped = run_cli(older, "adopt", str(table.file), "--label", table.label, *table.options)
    assert (stopped.code, "pushline adopt --thin" in stopped.err) == (2, True)


def test_a_repository_that_never_adopted_a_table_is_not_brought_to_the_small_form(project: Project) -> None:
    stopped = run_cli(project, "adopt", "--thin", "--apply")
    assert (stopped.code, "did not adopt a table" in stopped.err) == (2, True)
