import shutil
from pathlib import Path

import pytest

from pushline.errors import SettingsError
from pushline.results import CheckDataResult, DataFile, FetchResult, SmokeResult, load, save


def fetched(root: Path) -> FetchResult:
    files = (
        DataFile(name="a", path=str(root / "data" / "a.csv"), sha256="0", version="v", rows=1, origin="cache"),
        DataFile(name="b", path="/elsewhere/b.csv", sha256="0", version="v", rows=1, origin="PUSHLINE_DATA"),
    )
    return FetchResult(data_version="v", files=files, rows=2, columns=1)


def test_a_result_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save(tmp_path / "build", fetched(tmp_path))
    assert load(tmp_path / "build", FetchResult).files == fetched(tmp_path).files


def test_paths_below_the_project_follow_it_to_another_folder(tmp_path: Path) -> None:
    save(tmp_path / "here" / "build", fetched(tmp_path / "here"))
    shutil.move(tmp_path / "here", tmp_path / "there")
    files = load(tmp_path / "there" / "build", FetchResult).files
    assert [file.path for file in files] == [str(tmp_path / "there" / "data" / "a.csv"), "/elsewhere/b.csv"]


def test_an_empty_path_stays_empty(tmp_path: Path) -> None:
    checked = CheckDataResult(data_version="", file="f", table="", rows=0, columns=0, findings=(), critical=0, warning=0, info=0)
    save(tmp_path / "build", checked)
    assert load(tmp_path / "build", CheckDataResult).table == ""


@pytest.mark.parametrize(("in_job", "do"), [("", "Run `pushline smoke` first"), ("true", "In the input `run`, name a run of deliver.yml")])
def test_a_missing_result_names_the_command_that_makes_it_and_in_a_job_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_job: str, do: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", in_job)
    with pytest.raises(SettingsError) as raised:
        load(tmp_path / "build", SmokeResult)
    assert raised.value.do.startswith(do)


def test_a_result_of_another_shape_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "build", fetched(tmp_path))
    file = tmp_path / "build" / "fetch" / "result.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"rows"', '"lines"'), encoding="utf-8")
    with pytest.raises(SettingsError, match="can't be read"):
        load(tmp_path / "build", FetchResult)
