"""Asking the live release from the command line."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran, clean_environment
from pushline.data.contract import load_contract
from pushline.errors import DataError, TargetError
from pushline.project import Project
from pushline.release.local import LocalTarget
from pushline.release.scoring import score_file, table_of, value_of
from pushline.serving.client import Client
from pushline.serving.model_folder import read_golden
from release.conftest import ReleaseOf, deliver
from service_made import get


def test_score_says_that_nothing_is_live(local: LocalTarget, project: Project) -> None:
    with pytest.raises(TargetError, match="Nothing is live"):
        score_file(local, project.root / "examples" / "two-rows.json", load_contract(project.contract), at_once=1000)


@pytest.mark.example
@pytest.mark.slow
def test_score_prints_a_table_or_json_and_writes_nothing(
    local: LocalTarget, project: Project, release: ReleaseOf, run_pushline: Callable[..., Ran]
) -> None:
    deliver(local, release(1))
    before = set(project.root.iterdir())
    printed = run_pushline(project, "score", "examples/two-rows.json")
    assert printed.code == 0, printed.err
    assert printed.out.splitlines()[0].split() == ["row", "result", "probability"]
    assert len(printed.out.splitlines()) == 4
    answer = json.loads(run_pushline(project, "score", "examples/two-rows.json", "--json").out)
    assert len(answer["result"]) == 2
    assert set(project.root.iterdir()) == before
    document = json.loads(run_pushline(project, "openapi").out)
    assert document["openapi"].startswith("3.")
    assert run_pushline(project, "openapi", "--out", "api.json").code == 0
    assert json.loads((project.root / "api.json").read_text()) == document
    # A table is scored as its rows would be, in as many requests as they need, its label left out.
    rows = [read_golden_row(local), {**read_golden_row(local), "age": 30}]
    contract = load_contract(project.contract)
    with (project.root / "rows.csv").open("w", newline="") as text:
        table = csv.DictWriter(text, [*rows[0], "y"], delimiter=contract.delimiter)
        table.writeheader()
        table.writerows({**row, "y": "no"} for row in rows)
    whole = score_file(local, project.root / "rows.csv", contract, at_once=1)
    live = local.status().live
    assert live is not None
    asked = Client(live.url).score(rows, local.keys().primary).content
    assert (whole["result"], whole["probability"]) == (asked["result"], asked["probability"])
    # The command of curl asks what score asks.
    said = run_pushline(project, "score", "rows.csv", "--curl").out
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(["sh", "-c", said], cwd=project.root, env={**clean_environment(), "PATH": path}, capture_output=True, check=True)
    assert json.loads(ran.stdout)["probability"] == asked["probability"][:1]
    # A file whose rows are refused is told by row and column.
    file = project.root / "wrong.json"
    file.write_text(json.dumps({"data": [{**read_golden_row(local), "age": -1}]}))
    refused = run_pushline(project, "score", "wrong.json")
    assert refused.code == DataError.exit_code
    assert "row 0, age is -1; at least 17 is expected" in refused.err


def read_golden_row(local: LocalTarget) -> dict[str, object]:
    live = local.status().live
    assert live is not None
    return dict(read_golden(Path(live.release.model))[0].row)


@pytest.mark.slow
def test_swagger_ui_for_the_live_release_passes_requests_on(local: LocalTarget, project: Project, release: ReleaseOf) -> None:
    deliver(local, release(1))
    with subprocess.Popen(
        [sys.executable, "-m", "pushline", "openapi", "--serve"],
        cwd=project.root,
        env=clean_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as viewer:
        assert viewer.stderr is not None
        url = viewer.stderr.readline().split(": ", 1)[1].split("/docs")[0]
        assert b"swagger-ui" in get(url + "/docs")
        assert json.loads(get(url + "/openapi.json"))["openapi"].startswith("3.")
        assert json.loads(get(url + "/readyz"))["release"] == "v1-test"
        viewer.send_signal(signal.SIGINT)
        viewer.wait(60)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nope.json", None, "Name a file like examples/two-rows.json"),
        ("rows.csv", b"HEADER\n" + b"1\n" * 10_001, "`pushline score-batch rows.csv --out scores.csv`"),
        ("rows.csv", "a,b\n1,2\n", "it is another table"),
        ("rows.csv", b"HEADER\n\xff\n", "utf-8"),
        ("rows.parquet", "a,b\n1,2\n", "can't be read"),
        ("rows.xlsx", "a,b\n1,2\n", "Save it as CSV"),
        ("rows.json", "a,b\n1,2\n", 'Write {"data": [rows]}'),
    ],
)
def test_a_file_that_score_can_not_read_is_told_with_what_can(
    project: Project, run_pushline: Callable[..., Ran], name: str, content: str | bytes | None, told: str
) -> None:
    if content is not None:
        contract = load_contract(project.contract)
        header = contract.delimiter.join(column.name for column in contract.columns).encode()
        (project.root / name).write_bytes((content.encode() if isinstance(content, str) else content).replace(b"HEADER", header))
    ended = run_pushline(project, "score", name)
    assert ended.code == DataError.exit_code
    assert told in ended.err
    assert "Errno" not in ended.err


def test_more_than_two_classes_are_printed_by_name_the_most_probable_first() -> None:
    answer = {"result": ["b", "e"], "probability": [[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]], "classes": ["a", "b", "e"], "model_version": "1"}
    assert table_of(answer)[1:] == ["     0  b       b 0.6000, e 0.3000, a 0.1000", "     1  e       e 0.7000, a 0.2000, b 0.1000"]
    many = {"result": ["k9"], "probability": [[i / 55 for i in range(11)]], "classes": [f"k{i}" for i in range(11)], "model_version": "1"}
    assert table_of(many)[1].endswith("k10 0.1818, k9 0.1636, k8 0.1455 and 8 other classes")


def test_a_cell_is_a_number_where_its_column_is_and_it_reads_as_one() -> None:
    cells = {"12": 12, "-1.5": -1.5, "1e3": 1000.0, "": None, "1_0": "1_0", "nan": "nan", "inf": "inf", " 1": " 1", "٣": "٣"}
    assert {cell: value_of(cell, "number") for cell in cells} == cells
    assert [value_of(cell, "boolean") for cell in ("true", "False", "yes")] == [True, False, "yes"]
    assert value_of("0012", "string") == "0012"
