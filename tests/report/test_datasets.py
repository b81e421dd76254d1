from pushline.data.profile.drift import ColumnDrift, Drift
from pushline.data.sources.add import AddResult, Overlap
from pushline.data.sources.lock import FileSource, PinnedFile
from pushline.data.sources.lock_history import LockDiff, LockListing
from pushline.report.datasets import added_summary, drift_summary, listed_lines, moved_summary
from pushline.report.terminal import lines_of_markdown
from pushline.results import Finding

DRIFT = Drift(
    source="new|file.csv",
    data_version="8486deac85240013",
    reference_rows=32950,
    rows=5000,
    verdict="drift",
    columns=(
        ColumnDrift(column="age", verdict="drift", statistic=0.375, threshold=0.02, level="strong", moved="17 to 28: 10.0% to 2.0%"),
        ColumnDrift(column="job", verdict="stable", statistic=0.001, threshold=0.02, moved="<b>: 1.0% to 1.1%"),
        ColumnDrift(column="length", verdict="absent"),
    ),
)
PINNED = PinnedFile(name="second.csv", version="0" * 16, rows=5000, columns=("a",), sources=(FileSource(sha256="1" * 64),))
FINDING = Finding(id="unknown-values", severity="warning", column="job", message="6.0 % unknown", seen="6.0 %", expected="5.0 %")
ADDED = AddResult(
    file=PINNED,
    before="a" * 16,
    after="b" * 16,
    rows_before=32950,
    rows_after=37950,
    findings=(FINDING,),
    overlaps=(Overlap(file="first.csv", rows=7, lines=(2, 3, 4, 5, 6, 7, 8), other_label=3),),
    drift=DRIFT,
)


def test_a_figure_stands_beside_its_threshold_and_its_rows() -> None:
    lines = lines_of_markdown(drift_summary(DRIFT))
    assert "5,000 rows" in lines[0]
    assert all(word in lines[2] for word in ("age", "0.375", "0.02", "strong drift", "17 to 28: 10.0% to 2.0%"))
    assert lines[-1].split() == ["length", "absent", "–", "–"]


def test_foreign_text_stays_text_in_markdown() -> None:
    summary = drift_summary(DRIFT)
    assert "<b>" not in summary
    assert "1 of 3 columns have drifted" in summary
    assert "32,950" in summary


def test_too_few_rows_are_said_to_be_too_few() -> None:
    few = Drift(source="f.csv", data_version="8" * 16, reference_rows=10, rows=3, verdict="too few rows", columns=())
    assert "too few rows for a verdict" in drift_summary(few)


def test_an_addition_tells_versions_findings_overlap_and_drift() -> None:
    text = "\n".join(lines_of_markdown(added_summary(ADDED)))
    for fact in (
        "37,950 rows",
        "unknown-values",
        "7 rows of it are in first.csv already",
        "3 rows of it first.csv holds with another label",
    ):
        assert fact in text
    assert "--url" in text
    summary = added_summary(ADDED)
    assert all(part in summary for part in ("## data add", "### Drift", "unknown", "another label"))


def test_an_addition_without_a_finding_says_so() -> None:
    plain = AddResult(file=PINNED, before="a" * 16, after="b" * 16, rows_before=1, rows_after=2, findings=(), overlaps=(), drift=DRIFT)
    assert "No findings." in added_summary(plain)
    assert "No row of it is pinned already." in added_summary(plain)


def test_the_list_names_every_file_and_where_it_is() -> None:
    lines = listed_lines(LockListing(data_version="a" * 16, rows=5000, files=(PINNED,), cached=("second.csv",)))
    assert "in 1 file" in lines[0]
    assert all(word in lines[1] for word in ("second.csv", "0 addresses", "on this machine"))


def test_a_difference_names_what_came_went_and_changed() -> None:
    moved = LockDiff(
        against="main",
        before="a" * 16,
        after="b" * 16,
        rows_before=1,
        rows_after=2,
        added=(PINNED,),
        removed=(PINNED,),
        replaced=(PINNED,),
        drift=(DRIFT,),
    )
    lines = lines_of_markdown(moved_summary(moved))
    assert [line.split()[0] for line in lines[2:5]] == ["added", "removed", "replaced"]
    assert any("strong drift" in line for line in lines)
    same = LockDiff(against="main", before="a", after="a", rows_before=1, rows_after=1, added=(), removed=(), replaced=(), drift=())
    assert len(lines_of_markdown(moved_summary(same))) == 1
