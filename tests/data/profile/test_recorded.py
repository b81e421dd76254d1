import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from command import Ran
from data.profile.test_profile import CONTRACT
from pushline.data.contract import Column, Contract, load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.drift import Drift
from pushline.data.profile.recorded import LIVE, SMOKE, day_tables, newest_rows, write_recorded
from pushline.data.profile.sample import sample_rows
from pushline.errors import DataUnavailable
from pushline.project import Project
from pushline.serving.records import Records

Run = Callable[..., Ran]


def record(folder: Path, rows: list[dict[str, object]], *, age_days: float = 0, version: str = "1", name: str = "2026-11-24.jsonl") -> None:
    """Append rows as the service does."""
    folder.mkdir(parents=True, exist_ok=True)
    at = (datetime.now(UTC) - timedelta(days=age_days)).isoformat()
    more = {"release": "r1", "request_id": "a", "result": "no", "probability": 0.1}
    with (folder / name).open("a") as stream:
        stream.writelines(json.dumps({"at": at, "model_version": version, "row": row, **more}) + "\n" for row in rows)


def test_rows_come_back_with_the_types_of_the_contract(tmp_path: Path) -> None:
    record(tmp_path / "in", [{"size": 1, "kind": "a", "flag": True, "count": 3}, {"size": None, "kind": None, "flag": False, "count": 4}])
    assert write_recorded(tmp_path / "in", CONTRACT, tmp_path / "t.parquet") == 2
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        "size": "float64",
        "kind": "object",
        "flag": "bool",
        "count": "int64",
    }
    assert table["size"].isna().tolist() == [False, True]


def test_what_the_service_writes_is_read(tmp_path: Path) -> None:
    kept = Records(tmp_path, "r1", "3", days=30)
    kept.add(
        json.dumps({"data": [{"size": 1.5, "count": 3}, {"size": 2, "count": 4}]}).encode(),
        {"result": ["no", "yes"], "probability": [0.1, 0.9]},
        "a",
    )
    kept.write()
    [day] = day_tables(tmp_path, CONTRACT, tmp_path / "days")
    table = pd.read_parquet(day)
    assert table["model_version"].tolist() == ["3", "3"]
    assert table["position"].tolist() == [0, 1]
    assert [list(one) for one in table["probability"]] == [[0.1], [0.9]]
    assert [(row["size"], row["kind"], row["count"]) for row in table["row"]] == [(1.5, None, 3), (2, None, 4)]


def test_a_day_is_read_again_only_where_it_grew_and_goes_with_its_log(tmp_path: Path) -> None:
    place = tmp_path / "days"
    for day in ("2026-11-24", "2026-11-25"):
        record(tmp_path, [{"count": 1}], name=f"{day}.jsonl")
    first, second = day_tables(tmp_path, CONTRACT, place)
    written = second.stat().st_mtime_ns
    record(tmp_path, [{"count": 2}], name="2026-11-24.jsonl")
    grown, same = day_tables(tmp_path, CONTRACT, place)
    assert (len(pd.read_parquet(grown)), grown == first, same.stat().st_mtime_ns) == (2, False, written)
    (tmp_path / "2026-11-25.jsonl").unlink()
    assert day_tables(tmp_path, CONTRACT, place) == [grown] == list(place.iterdir())


def test_a_value_of_another_type_is_missing(tmp_path: Path) -> None:
    record(tmp_path / "in", [{"count": 1.5, "flag": "yes", "kind": 3}, {"count": True, "flag": True, "kind": "a"}])
    write_recorded(tmp_path / "in", CONTRACT, tmp_path / "t.parquet")
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["count"].isna().all()
    assert table["flag"].tolist() == [None, True]
    assert table["kind"].tolist() == [None, "a"]


def test_dates_are_texts_and_what_pushline_itself_asked_is_no_row(tmp_path: Path) -> None:
    columns = (Column(name="on", type="date"), Column(name="at", type="datetime"), Column(name="y", type="boolean", role="label"))
    record(tmp_path, [{"on": "2026-11-24", "at": "2026-11-24T10:00"}])
    line = (tmp_path / "2026-11-24.jsonl").read_text()
    (tmp_path / "2026-11-24.jsonl").write_text(line + line.replace('"request_id": "a"', f'"request_id": "{SMOKE}1"'))
    assert newest_rows(tmp_path, Contract(name="c", columns=columns), 9).to_pylist() == [{"on": "2026-11-24", "at": "2026-11-24T10:00"}]


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    record(tmp_path, [{"count": 1}])
    with (tmp_path / "2026-11-24.jsonl").open("a") as stream:
        stream.write('{"at": "2026-11-24T0')
    record(tmp_path, [{"count": 2}], name="2026-11-25.jsonl")
    assert newest_rows(tmp_path, CONTRACT, 10)["count"].to_pylist() == [1, 2]
    assert newest_rows(tmp_path, CONTRACT, 1)["count"].to_pylist() == [2]


def test_age_and_model_version_choose_requests(tmp_path: Path) -> None:
    record(tmp_path, [{"count": 1}], age_days=9)
    record(tmp_path, [{"count": 2}], age_days=1)
    record(tmp_path, [{"count": 3}], version="2")
    for chosen, counts in (({"days": 2}, [2, 3]), ({"version": "2"}, [3])):
        write_recorded(tmp_path, CONTRACT, tmp_path / "t.parquet", **chosen)
        assert pd.read_parquet(tmp_path / "t.parquet")["count"].tolist() == counts


@pytest.mark.slow
def test_a_folder_that_was_chosen_for_the_service_can_be_named(
    project: Project, run_pushline: Run, requests: list[dict[str, object]], tmp_path: Path
) -> None:
    record(tmp_path / "kept", requests[:2000])
    ran = run_pushline(project, "drift", str(tmp_path / "kept"), "--logs", "--json")
    assert (ran.code, msgspec.json.decode(ran.out, type=Drift).rows) == (0, 2000)


def test_nothing_recorded_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="record_days"):
        write_recorded(tmp_path, CONTRACT, tmp_path / "t.parquet")


@pytest.fixture
def requests(project: Project) -> list[dict[str, object]]:
    """Rows as clients send them: without the label and what is known only after the event."""
    contract: Contract = load_contract(project.contract)
    rows = sample_rows(load_profile(project.profile), contract, 3000, 4)
    return [json.loads(row) for row in rows[[c.name for c in contract.features()]].to_json(orient="records", lines=True).splitlines()]


def test_the_command_reads_what_the_service_recorded(project: Project, run_pushline: Run, requests: list[dict[str, object]]) -> None:
    for start in range(0, 3000, 100):
        record(project.state / LIVE, requests[start : start + 100])
    ran = run_pushline(project, "drift", "--logs", "--json")
    assert ran.code == 0, ran.err
    drift = msgspec.json.decode(ran.out, type=Drift)
    assert (drift.verdict, drift.rows) == ("stable", 3000)


@pytest.mark.example
@pytest.mark.slow
def test_the_command_says_no_to_drifted_requests(project: Project, run_pushline: Run, requests: list[dict[str, object]]) -> None:
    record(project.state / LIVE, requests, age_days=3)
    record(project.state / LIVE, [{**row, "contact": "telephone"} for row in requests])
    ran = run_pushline(project, "drift", "--logs", "--days", "1", "--json")
    assert ran.code == 1
    assert msgspec.json.decode(ran.out, type=Drift).drifted == ("contact",)


def test_the_command_says_that_nothing_was_recorded(project: Project, run_pushline: Run) -> None:
    ran = run_pushline(project, "drift", "--logs")
    assert (ran.code, "serving.record" in ran.err) == (3, True)
