"""check-data through the real command: faulty files, sound files, several files, and what it leaves."""

import ast
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import Ran
from data.faults import FAULTS, Fault
from data.faults.sound import Sound
from pushline.cli import main
from pushline.data.checks.check_data import check_data
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.data.rules import load_rules
from pushline.progress import silent
from pushline.project import Project
from pushline.results import DataFile, FetchResult
from working_copy import copy_project

pytestmark = pytest.mark.example

ROWS = 2000
Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def sound(repo: Path) -> Sound:
    """A generated table without a fault."""
    contract = load_contract(repo / "data_checks" / "contract.yml")
    frame = sample_rows(load_profile(repo / "data_checks" / "profile.json"), contract, ROWS, seed=5)
    return Sound.of(frame.drop_duplicates())


@pytest.fixture(scope="module")
def one_project(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project that all faulty files are checked in: each check leaves nothing to the next."""
    return copy_project(repo, tmp_path_factory.mktemp("project"))


@pytest.fixture
def check(one_project: Project, capfd: pytest.CaptureFixture[str]) -> Check:
    """Run `pushline check-data --json` and give its exit code and what it printed on standard output, as JSON."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["--project", str(one_project.root), "check-data", "--json", *arguments])
        said = capfd.readouterr().out
        return int(ended.value.code or 0), json.loads(said) if said else {}

    return run


def cases() -> list[Any]:
    return [pytest.param(fault, id=fault.file, marks=[pytest.mark.slow] if fault.reads_rows else []) for fault in FAULTS]


def ids_of(source: str) -> set[str]:
    """The ids that a module gives to findings: where one is made, and where a cause is chosen."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name("Finding" | "Check" | "in_header" | "of_column" | "of_table"), args=[ast.Constant(str(id)), *_]):
                found.add(id)
            case ast.Assign(targets=[ast.Tuple([ast.Name("kind"), *_])], value=ast.Tuple([ast.Constant(str(id)), *_])):
                found.add(id)
    return found


def test_every_finding_that_the_checks_can_make_is_made_by_a_faulty_file(repo: Path) -> None:
    made = [ids_of(file.read_text(encoding="utf-8")) for file in (repo / "src" / "pushline" / "data").rglob("*.py")]
    rules = load_rules(repo / "data_checks" / "rules.py", load_contract(repo / "data_checks" / "contract.yml"))
    assert set().union(*made) == {fault.root for fault in FAULTS} - {rule.id for rule in rules}


@pytest.mark.parametrize("fault", cases())
def test_a_faulty_file_is_told_by_its_root_cause(fault: Fault, sound: Sound, check: Check, tmp_path: Path) -> None:
    file = tmp_path / fault.file
    file.write_bytes(fault.make(sound.copy()))
    code, result = check(str(file))
    findings = result["findings"]
    first = findings[0] if findings else None
    assert first is not None
    assert (first["id"], first["severity"], first["column"]) == (fault.root, fault.severity, fault.column)
    assert len(findings) <= fault.most, [finding["message"] for finding in findings]
    if fault.lines:
        assert tuple(first["lines"]) == fault.lines
    assert first["message"].endswith(".")
    assert code == (1 if fault.severity == "critical" else 0)


def test_a_value_below_a_row_that_was_left_out_keeps_its_line(sound: Sound, check: Check, tmp_path: Path) -> None:
    lines = sound.copy().set(12, "job", "poet").lines()
    lines[4] += ",no"
    file = tmp_path / "two-faults.csv"
    file.write_text("\n".join(lines) + "\n")
    _, result = check(str(file))
    assert [(f["id"], f["lines"]) for f in result["findings"]] == [("ragged-rows", [5]), ("allowed", [12])]


def test_a_sound_file_gives_no_finding_and_its_json_is_alone_on_standard_output(
    sound: Sound, project: Project, run_pushline: Callable[..., Ran], tmp_path: Path
) -> None:
    file = tmp_path / "sound.csv"
    file.write_bytes(sound.csv())
    home = tmp_path / "home"
    home.mkdir()
    ran = run_pushline(project, "check-data", "--json", str(file), env={"HOME": str(home)})
    result = json.loads(ran.out)
    assert (ran.code, result["findings"], result["critical"]) == (0, [], 0)
    assert result["rows"] == sum(result["class_counts"].values()) == len(sound.rows)
    beside = project.build / "other" / "check-data"
    assert {entry.name for entry in beside.iterdir()} == {"result.json", "summary.md", "table.parquet"}
    assert not (project.build / "check-data").exists(), "the delivery's own result is not of this file"
    assert not list(home.rglob("*duckdb*")), "an extension was downloaded or a state was left"


def test_a_sound_parquet_file_gives_no_finding(sound: Sound, check: Check, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(sound.rows, columns=sound.names).astype({"age": "int32", "duration": "float64", "euribor3m": "float64"})
    frame.to_parquet(tmp_path / "sound.parquet")
    code, result = check(str(tmp_path / "sound.parquet"))
    assert (code, result["findings"]) == (0, [])


@pytest.mark.slow
def test_the_real_file_gives_no_finding(real_data: Path, check: Check) -> None:
    code, result = check(str(real_data))
    assert (code, result["findings"]) == (0, [])
    assert (result["rows"], result["columns"], result["class_counts"]) == (32950, 21, {"no": 29258, "yes": 3692})
    assert result["data_version"]


def test_the_typed_table_holds_the_files_rows_in_their_order(sound: Sound, check: Check, tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "sound.csv"
    file.write_bytes(sound.csv())
    _, result = check(str(file))
    described = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [result["table"]]).fetchall()
    rows = duckdb.execute("SELECT age, job, euribor3m FROM read_parquet(?)", [result["table"]]).fetchall()
    assert [name for name, *_ in described] == sound.names
    assert {kind for _, kind, *_ in described} == {"BIGINT", "DOUBLE", "VARCHAR"}
    places = [sound.names.index(name) for name in ("age", "job", "euribor3m")]
    assert rows == [(int(row[places[0]]), row[places[1]], float(row[places[2]])) for row in sound.rows]


def test_several_files_are_one_table_and_a_finding_names_its_file(sound: Sound, project: Project, tmp_path: Path) -> None:
    whole, pinned = sound.copy(), []
    for number, rows in enumerate((whole.rows[:1500], whole.rows[1500:])):
        part = Sound(whole.names, rows)
        if number:
            part.set(7, "job", "poet")
        file = tmp_path / f"part{number}.csv"
        file.write_bytes(part.csv())
        pinned.append(DataFile(name=file.name, path=str(file), sha256="0" * 64, version="0" * 16, rows=len(rows), origin="test"))
    fetched = FetchResult(data_version="v", files=tuple(pinned), rows=len(whole.rows), columns=21)
    checked = check_data(project, load_contract(project.contract), file=None, fetched=fetched, progress=silent)
    (finding,) = checked.findings
    assert checked.rows == len(sound.rows)
    assert (finding.id, finding.lines) == ("allowed", (7,))
    assert finding.message.startswith("part1.csv: ")


def unopenable(folder: Path, kind: str) -> Path:
    file = folder / f"{kind}.csv"
    if kind == "folder":
        file.mkdir()
    elif kind == "loop":
        file.symlink_to(file)
    elif kind == "forbidden":
        file.write_text("a,b\n")
        file.chmod(0)
    return file


@pytest.mark.parametrize("kind", ["absent", "folder", "loop", "forbidden"])
def test_a_file_that_can_not_be_opened_is_told_in_three_lines(
    kind: str, project: Project, run_pushline: Callable[..., Ran], tmp_path: Path
) -> None:
    if kind == "forbidden" and os.geteuid() == 0:
        pytest.skip("root may read every file")
    ran = run_pushline(project, "check-data", "--json", str(unopenable(tmp_path, kind)))
    said = [line for line in ran.err.splitlines() if not line.startswith("Reading")]
    assert (ran.code, ran.out) == (3, "")
    assert said[0].startswith("error: ")
    assert len(said) == 3


def test_annotations_point_into_the_repository_and_are_escaped(sound: Sound, project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    file = project.root / "faulty.csv"
    file.write_bytes(sound.copy().set(9, "job", "100% poet,\n::error::x").csv())
    with pytest.raises(SystemExit):
        main(["--project", str(project.root), "check-data", "--annotations", str(file)])
    commands = [line for line in capfd.readouterr().out.splitlines() if line.startswith("::")]
    (said,) = commands
    properties, message = said.removeprefix("::error ").split("::", 1)
    place = dict(part.split("=", 1) for part in properties.split(","))
    contract = project.contract.read_text().splitlines()
    assert place["file"] == "data_checks/contract.yml"
    assert "name: job" in contract[int(place["line"]) - 1]
    assert "100%25 poet" in message
    assert message.endswith("faulty.csv, line 9.")


def test_with_json_the_annotations_go_to_standard_error(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    file = project.root / "empty.csv"
    file.write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["--project", str(project.root), "check-data", "--json", "--annotations", str(file)])
    said = capfd.readouterr()
    assert json.loads(said.out)["findings"][0]["id"] == "empty-file"
    assert "::error file=data.lock,line=1,title=empty-file::" in said.err


def test_markdown_is_the_summary(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    file = project.root / "empty.csv"
    file.write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["--project", str(project.root), "check-data", "--markdown", str(file)])
    said = capfd.readouterr().out
    assert "The file is empty" in said
    assert said == (project.build / "other" / "check-data" / "summary.md").read_text()


@pytest.mark.slow
def test_data_docs_show_the_suite(sound: Sound, project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    file = project.root / "sound.csv"
    file.write_bytes(sound.csv())
    with pytest.raises(SystemExit) as ended:
        main(["--project", str(project.root), "check-data", "--data-docs", str(file)])
    docs = project.build / "other" / "check-data" / "data-docs"
    pages = list((docs / "validations").rglob("*.html"))
    assert not ended.value.code
    assert str(docs / "index.html") in capfd.readouterr().err
    assert len(pages) == 1
    assert "euribor3m" in pages[0].read_text()


def test_a_rule_that_is_no_sql_is_an_error_of_the_repository(project: Project, run_pushline: Callable[..., Ran], tmp_path: Path) -> None:
    project.rules.write_text(project.rules.read_text().replace("pdays = 999 OR previous > 0", "pdays = = 999"))
    (tmp_path / "any.csv").write_text("a,b\n1,2\n")
    ran = run_pushline(project, "check-data", str(tmp_path / "any.csv"))
    assert ran.code == 2
    assert "pdays-needs-previous" in ran.err


OTHER_TABLE = """\
name: sensors
positive: "true"
delimiter: ";"
rows_at_least: 100
columns:
  - {name: id, type: integer, role: identifier}
  - {name: running, type: boolean}
  - {name: "wind, m/s", type: number, minimum: 0, missing_at_most: 0.2}
  - {name: note, type: string, allowed: [plain], other: true, missing_at_most: 1}
  - {name: failed, type: boolean, role: label, allowed: ["false", "true"]}
"""


@pytest.mark.slow
def test_another_table_is_checked_by_its_own_contract(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    project.contract.write_text(OTHER_TABLE)
    project.rules.unlink()
    rows = [f'{n};{"yes" if n % 3 else "no"};{"" if n % 9 == 0 else n / 7};"a{n % 2};b\n";{str(n % 5 == 0).lower()}' for n in range(300)]
    rows[200] = '200;perhaps;-1;"";1'
    file = project.root / "sensors.csv"
    file.write_text('id;running;"wind, m/s";note;failed\n' + "\n".join(rows))
    with pytest.raises(SystemExit) as ended:
        main(["--project", str(project.root), "check-data", "--json", str(file)])
    result = json.loads(capfd.readouterr().out)
    line = 2 + 2 * 200  # every row above it takes two lines
    assert ended.value.code == 1
    assert [(f["id"], f["column"], f["lines"]) for f in result["findings"]] == [("type", "running", [line]), ("range", "wind, m/s", [line])]
    assert result["class_counts"] == {"false": 240, "true": 60}
