"""Asking the live release from the command line."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran, clean_environment
from pushline.errors import DataError, TargetError
from pushline.project import Project
from pushline.release.local import LocalTarget
from pushline.release.scoring import score_file, table_of
from pushline.serving.model_folder import read_golden
from release.conftest import ReleaseOf, deliver
from service_made import get


def test_score_says_that_nothing_is_live(local: LocalTarget, project: Project) -> None:
    with pytest.raises(TargetError, match="Nothing is live"):
        score_file(local, project.root / "examples" / "two-rows.json")


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
        viewer.wait(10)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nope.json", None, "Name a file like examples/two-rows.json."),
        ("rows.csv", "a,b\n1,2\n", "`pushline score-batch rows.csv --out scores.csv`"),
        ("rows.json", "a,b\n1,2\n", 'Write {"data": [rows]}'),
    ],
)
def test_a_file_that_score_can_not_read_is_told_with_what_can(
    project: Project, run_pushline: Callable[..., Ran], name: str, content: str | None, told: str
) -> None:
    if content is not None:
        (project.root / name).write_text(content)
    ended = run_pushline(project, "score", name)
    assert ended.code == DataError.exit_code
    assert told in ended.err
    assert "Errno" not in ended.err


def test_more_than_two_classes_are_printed_by_name_the_most_probable_first() -> None:
    answer = {"result": ["b", "e"], "probability": [[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]], "classes": ["a", "b", "e"], "model_version": "1"}
    assert table_of(answer)[1:] == ["     0  b       b 0.6000, e 0.3000, a 0.1000", "     1  e       e 0.7000, a 0.2000, b 0.1000"]
    many = {"result": ["k9"], "probability": [[i / 55 for i in range(11)]], "classes": [f"k{i}" for i in range(11)], "model_version": "1"}
    assert table_of(many)[1].endswith("k10 0.1818, k9 0.1636, k8 0.1455 and 8 other classes")
