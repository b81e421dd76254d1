"""Outcomes come late, twice, corrected and of rows that nobody logged; the real command keeps what is new, and refuses by cause."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from command import Ran
from pushline.data.profile.recorded import LIVE
from pushline.errors import CriticalFindings, DataUnavailable
from pushline.outcomes import store
from pushline.outcomes.store import OutcomesResult, newest_outcomes
from pushline.project import Project
from registry.models import CONTRACT, shops

Run = Callable[..., Ran]


def asked(project: Project, rows: int) -> pd.DataFrame:
    """Log `rows` requests of one row; the rows with their labels and request ids."""
    project.contract.write_bytes(msgspec.json.encode(CONTRACT))
    frame = shops(rows, 3)
    (project.state / LIVE).mkdir(parents=True)
    with (project.state / LIVE / "2026-11-24.jsonl").open("w") as stream:
        for number, row in enumerate(frame.drop(columns="outcome").to_dict("records")):
            said = {
                "at": f"2026-11-24T10:{number // 60:02}:{number % 60:02}Z",
                "release": "v1",
                "model_version": "1",
                "request_id": f"r{number}",
            }
            stream.write(json.dumps({**said, "row": row, "result": "left", "probability": 0.1}) + "\n")
    return frame.assign(request_id=[f"r{number}" for number in range(rows)])


@pytest.fixture
def add(project: Project, run_pushline: Run, tmp_path: Path) -> Callable[..., OutcomesResult]:
    """Add rows as a file through the command; what it says."""

    def added(rows: list[dict[str, Any]], name: str = "told.csv") -> OutcomesResult:
        file = tmp_path / name
        pd.DataFrame(rows).to_parquet(file) if name.endswith(".parquet") else pd.DataFrame(rows).to_csv(file, index=False)
        ran = run_pushline(project, "outcomes", "add", str(file), "--json")
        assert ran.code == 0, ran.err
        return msgspec.json.decode(ran.out, type=OutcomesResult)

    return added


def counting(project: Project) -> dict[str, str]:
    """The outcome of each request that counts."""
    from pushline.data.files.table import database

    with database() as connection:
        found = connection.execute(f"SELECT key, outcome FROM ({newest_outcomes(project)})").fetchall()
    return {key.split(chr(31))[0]: outcome for key, outcome in found}


def test_of_several_outcomes_the_newest_counts_and_the_same_file_twice_changes_nothing(
    project: Project, add: Callable[..., OutcomesResult]
) -> None:
    asked(project, 4)
    first = [
        {"request_id": "r0", "outcome": "left"},
        {"request_id": "r1", "outcome": None},
        {"request_id": "elsewhere", "outcome": "bought"},
    ]
    seen = add(first)
    assert (seen.new, seen.waiting, seen.unknown, seen.outcomes) == (2, 1, 1, 2)
    parts = sorted((project.state / "outcomes").iterdir())
    assert (add(first).new, sorted((project.state / "outcomes").iterdir())) == (0, parts)
    corrected = add([{"request_id": "r0", "outcome": "bought"}, {"request_id": "r1", "outcome": "left"}], "more.parquet")
    assert (corrected.new, corrected.corrected, corrected.outcomes) == (1, 1, 3)
    assert counting(project) == {"r0": "bought", "r1": "left", "elsewhere": "bought"}
    assert add(first).unchanged == 2  # what was corrected since stays corrected
    late = add([{"request_id": "r0", "outcome": "left", "known_at": "2020-01-01T00:00:00Z"}], "late.csv")
    assert (late.late, counting(project)["r0"]) == (1, "bought")
    assert len(list((project.state / "outcomes").iterdir())) == 3  # the history stays


FAULTS = {
    "label": ("request_id,outcome\nr0,maybe\n", "1 row of it with a outcome that is none of left, bought"),
    "no-label": ("request_id,result\nr0,left\n", "outcome is called 'result'"),
    "no-id": ("customer,outcome\nr0,left\n", "request_id"),
    "empty": ("request_id,outcome\n", "no row"),
    "nameless": ("request_id,outcome\n,left\n", "1 row of it without request_id"),
    "two": ("request_id,outcome\nr0,left\nr0,bought\n", "two outcomes of r0 0"),
    "timeless": ("request_id,outcome,known_at\nr0,left,soon\n", "no time"),
    "delimiter": ("request_id;outcome\nr0;left\n", "separated by a semicolon"),
    "archive": ("PK\x03\x04", "ZIP"),
}


def test_a_wrong_file_is_refused_by_its_cause_and_nothing_is_kept(project: Project, run_pushline: Run, tmp_path: Path) -> None:
    asked(project, 2)
    for name, (text, cause) in FAULTS.items():
        (tmp_path / f"{name}.csv").write_text(text)
        with pytest.raises(CriticalFindings) as refused:
            store.add(project, CONTRACT, (), tmp_path / f"{name}.csv")
        assert cause in str(refused.value)
    ran = run_pushline(project, "outcomes", "add", str(tmp_path / "label.csv"))
    assert (ran.code, FAULTS["label"][1] in ran.err) == (1, True)
    assert not list((project.state / "outcomes").glob("*.parquet"))
    with pytest.raises(DataUnavailable):
        store.add(project, CONTRACT, (), tmp_path / "nowhere.csv")


def test_rows_are_found_by_columns_of_the_table_where_callers_keep_no_id(project: Project, run_pushline: Run, tmp_path: Path) -> None:
    rows = asked(project, 3)
    text = project.root / "pyproject.toml"
    text.write_text(f'{text.read_text()}\n[tool.pushline.performance]\nkeys = ["basket", "channel"]\n')
    rows[["basket", "channel", "outcome"]].to_csv(tmp_path / "told.csv", index=False)
    ran = run_pushline(project, "outcomes", "add", str(tmp_path / "told.csv"), "--json")
    seen = msgspec.json.decode(ran.out, type=OutcomesResult)
    assert (seen.new, seen.unknown) == (3, 0)
    text.write_text(text.read_text().replace('"basket", "channel"', '"basket", "outcome"'))
    ran = run_pushline(project, "outcomes", "add", str(tmp_path / "told.csv"))
    assert (ran.code, "names outcome" in ran.err) == (2, True)


def test_the_log_is_exported_with_outcomes_and_one_request_is_removed_from_all_of_it(
    project: Project, run_pushline: Run, tmp_path: Path, add: Callable[..., OutcomesResult]
) -> None:
    rows = asked(project, 3)
    add([{"request_id": "r0", "outcome": "left"}, {"request_id": "r1", "outcome": "bought"}])
    ran = run_pushline(project, "records", "export", "--out", str(tmp_path / "log.parquet"), "--json")
    assert json.loads(ran.out)["with_outcome"] == 2, ran.err
    table = pd.read_parquet(tmp_path / "log.parquet")
    assert table["outcome"].tolist() == ["left", "bought", None]
    assert table["basket"].tolist() == rows["basket"].tolist()
    assert (table["visits"].dtype, str(table["at"].dtype).split("[")[0]) == ("int64", "datetime64")
    ran = run_pushline(project, "records", "delete", "r1", "--json")
    assert json.loads(ran.out) == {"request_id": "r1", "rows": 1, "outcomes": 1}
    held = b"".join(file.read_bytes() for file in project.state.rglob("*") if file.is_file())
    assert b'"r1"' not in held
    assert counting(project) == {"r0": "left"}
    run_pushline(project, "records", "export", "--out", str(tmp_path / "log.parquet"))
    assert pd.read_parquet(tmp_path / "log.parquet")["request_id"].tolist() == ["r0", "r2"]
    assert run_pushline(project, "records", "delete", "r1").code == 2


def test_a_kill_before_the_name_is_given_leaves_what_was_there(
    project: Project, add: Callable[..., OutcomesResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(project, 2)
    add([{"request_id": "r0", "outcome": "left"}])
    before = {file: file.read_bytes() for file in (project.state / "outcomes").iterdir()}
    (tmp_path / "more.csv").write_text("request_id,outcome\nr1,left\n")

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pushline.files.move", killed)
    with pytest.raises(KeyboardInterrupt):
        store.add(project, CONTRACT, (), tmp_path / "more.csv")
    assert {file: file.read_bytes() for file in (project.state / "outcomes").iterdir()} == before
    monkeypatch.undo()
    assert store.add(project, CONTRACT, (), tmp_path / "more.csv").new == 1


def test_rows_with_outcomes_become_training_data_by_the_way_of_new_data_and_their_bias_is_named(
    project: Project, run_pushline: Run, tmp_path: Path, add: Callable[..., OutcomesResult]
) -> None:
    from pushline.data.files.version import table_of
    from pushline.data.profile import profile_of, write_profile
    from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, load_lock, lock_text

    rows = asked(project, 400)
    (tmp_path / "data").mkdir()
    shops(1500, 9).to_csv(tmp_path / "data" / "shops.csv", index=False)
    table = table_of(tmp_path / "data" / "shops.csv")
    pinned = PinnedFile(
        name="shops.csv", version=table.version, rows=1500, columns=table.columns, sources=(FileSource(sha256=table.sha256),)
    )
    project.data_lock.write_text(lock_text(DataLock(files=(pinned,))))
    shops(1500, 9).to_parquet(tmp_path / "typed.parquet")
    write_profile(project.profile, profile_of(tmp_path / "typed.parquet", CONTRACT, data_version=table.version))
    add([{"request_id": row["request_id"], "outcome": row["outcome"]} for row in rows.head(300).to_dict("records")])
    project.rules.write_text("RULES = []\n")
    ran = run_pushline(project, "data", "add", "--from-outcomes", env={"PUSHLINE_DATA": str(tmp_path / "data")})
    assert ran.code == 0, ran.err
    assert "300 of 400 logged rows whose outcome is known" in ran.out
    first, second = load_lock(project.data_lock).files
    assert (first.name, second.rows, second.name.startswith("outcomes-")) == ("shops.csv", 300, True)
    assert run_pushline(project, "data", "add").code == 2
