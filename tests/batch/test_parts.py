"""An input that is scored in parts gives what one job gives."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pushline.batch import parts
from pushline.batch.job import BatchResult, Options, score_batch
from pushline.batch.source import open_source
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.errors import CriticalFindings, TargetError
from pushline.project import Project

pytestmark = pytest.mark.example  # its first column is a number that may not be -5

ROWS, PART = 1100, 300
WHOLE = Options()


@pytest.fixture(scope="module")
def rows(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a row of a wrong value, one with a field too many, and a cell with a line feed in it."""
    project = Project(repo)
    contract = load_contract(project.contract)
    frame = sample_rows(load_profile(project.profile), contract, ROWS, 5)
    frame["note"] = "plain"
    frame.loc[310, "note"] = "two\nlines, quoted"
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    frame.to_csv(file, index=False, sep=contract.delimiter)
    lines = file.read_text().splitlines()
    first = frame.columns[0]
    lines[7] = lines[7].replace(str(frame.loc[6, first]), "-5", 1)
    lines[-1] = lines[-1] + contract.delimiter + "more"  # the last part has this row and few others
    file.write_text("\n".join(lines))
    return file


def scored_in_parts(source: str, out: Path, model: Path, options: Options = WHOLE, *, lose: int = 0) -> BatchResult:
    opened = open_source(source, WHOLE.delimiter)
    cut, scored = out.parent / "cut", out.parent / "scored"
    number = parts.cut(opened, cut, "parquet" if out.suffix == ".parquet" else "csv", PART)
    scored.mkdir()
    for file in sorted(cut.iterdir())[: number - lose]:
        parts.score_part(file, model, "1", scored)
    return parts.put_together(scored, number, opened, source, out, options=options, seconds=1.0)


@pytest.mark.slow
def test_csv_in_parts_is_the_same_to_the_byte(rows: Path, model_folder: Path, tmp_path: Path) -> None:
    one = score_batch(str(rows), tmp_path / "one.csv", model_folder, "1", options=WHOLE, progress=lambda line: None)
    (tmp_path / "parts").mkdir()
    many = scored_in_parts(str(rows), tmp_path / "parts" / "one.csv", model_folder)
    assert Path(many.out).read_bytes() == Path(one.out).read_bytes()
    assert Path(str(many.rejects)).read_bytes() == Path(str(one.rejects)).read_bytes()
    told = ("rows", "scored", "rejected", "reasons", "results", "histogram", "model_version")
    assert [getattr(many, name) for name in told] == [getattr(one, name) for name in told]
    assert many.rejected == 2
    assert len(pq.read_table(str(many.sample))) == many.scored + 1  # the wrong value was sent too; a row with a field too many has none


def test_parquet_in_parts_holds_the_same_rows(rows: Path, model_folder: Path, tmp_path: Path) -> None:
    options = {"options": WHOLE, "progress": lambda line: None}
    one = score_batch(str(rows), tmp_path / "one.parquet", model_folder, "1", **options)
    source = tmp_path / "rows.parquet"
    pq.write_table(pq.read_table(one.out).drop_columns(["probability", "result"]), source)
    (tmp_path / "parts").mkdir()
    many = scored_in_parts(str(source), tmp_path / "parts" / "one.parquet", model_folder)
    assert pq.read_table(many.out).equals(pq.read_table(one.out))


@pytest.mark.slow
def test_a_part_without_a_good_row_is_no_failure(rows: Path, model_folder: Path, tmp_path: Path) -> None:
    lines = rows.read_text().splitlines()
    (tmp_path / "last.csv").write_text("\n".join([lines[0], *lines[1 : PART + 1], lines[-1]]))
    ended = scored_in_parts(str(tmp_path / "last.csv"), tmp_path / "out.parquet", model_folder)
    assert (ended.rows, ended.rejected) == (PART + 1, 2)
    assert Path(str(ended.rejects)).read_text().splitlines()[-1].startswith(f"{PART + 2},")


@pytest.mark.slow
def test_a_part_that_was_lost_is_noticed(rows: Path, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="1 of 5 parts"):
        scored_in_parts(str(rows), tmp_path / "out.csv", model_folder, lose=1)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.slow
def test_a_strict_job_names_the_first_row_that_breaks_the_contract(rows: Path, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CriticalFindings, match="line 8"):
        scored_in_parts(str(rows), tmp_path / "out.csv", model_folder, Options(strict=True))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_parts_without_any_good_row_give_a_table_without_rows(rows: Path, model_folder: Path, tmp_path: Path, out: str) -> None:
    header, *lines = rows.read_text().splitlines()
    (tmp_path / "bad.csv").write_text("\n".join([header, *(f"{line},more" for line in lines if '"' not in line and "lines" not in line)]))
    one = score_batch(str(tmp_path / "bad.csv"), tmp_path / out, model_folder, "1", options=WHOLE, progress=lambda line: None)
    (tmp_path / "parts").mkdir()
    many = scored_in_parts(str(tmp_path / "bad.csv"), tmp_path / "parts" / out, model_folder)
    assert (many.scored, many.rejected) == (one.scored, one.rejected) == (0, many.rows)
    assert Path(str(many.rejects)).read_bytes() == Path(str(one.rejects)).read_bytes()
    if out.endswith(".parquet"):
        assert pq.read_table(many.out).equals(pq.read_table(one.out))
        assert pq.read_schema(many.out).names == [*header.split(","), "probability", "result"]
    else:
        assert Path(many.out).read_bytes() == Path(one.out).read_bytes()
