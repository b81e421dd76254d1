from typing import Any

from pushline.data.checks.findings import in_order, renamed, root_causes
from pushline.results import Finding

ROWS = 1000


def finding(kind: str, column: str | None = None, lines: tuple[int, ...] = (), **said: Any) -> Finding:
    return Finding(**{"id": kind, "severity": "critical", "column": column, "message": "m", "count": len(lines), "lines": lines, **said})


def ids(*findings: Finding) -> list[str]:
    return [found.id for found in in_order(root_causes(findings, ROWS))]


def test_three_columns_wrong_on_one_line_stay_three() -> None:
    assert ids(*(finding("allowed", name, (7,)) for name in "abc")) == ["allowed"] * 3


def test_four_columns_wrong_on_one_line_are_a_broken_row() -> None:
    (found,) = root_causes([finding("missing-values", name, (7,)) for name in "abcd"], ROWS)
    assert (found.id, found.lines, found.count, found.column) == ("broken-rows", (7,), 1, None)


def test_a_column_that_is_wrong_elsewhere_keeps_its_finding() -> None:
    shared = [finding("range", name, (7,)) for name in "abcd"]
    assert ids(*shared, finding("allowed", "e", (7, 8, 9, 10))) == ["broken-rows", "allowed"]


def test_columns_wrong_on_lines_of_their_own_stay_apart() -> None:
    assert ids(*(finding("allowed", name, (line,)) for line, name in enumerate("abcdef"))) == ["allowed"] * 6


def test_a_constant_column_is_not_told_beside_the_reason() -> None:
    constant = finding("constant", "a", severity="warning")
    assert ids(constant, finding("missing-values", "a", (1,))) == ["missing-values"]
    assert ids(constant, finding("missing-values", "b", (1,))) == ["missing-values", "constant"]
    assert ids(constant, finding("rows")) == ["rows"]


def test_class_balance_is_not_judged_on_labels_that_are_wrong() -> None:
    assert ids(finding("class-balance", "y"), finding("allowed", "y", (1,))) == ["allowed"]


def test_one_finding_of_many_is_as_severe_as_the_worst() -> None:
    lesser = [finding("range", name, (7,), severity="warning") for name in "abcd"]
    assert root_causes(lesser, ROWS)[0].severity == "warning"
    assert root_causes([*lesser, finding("range", "e", (7,))], ROWS)[0].severity == "critical"


def test_the_worst_comes_first_and_of_equals_the_most_basic() -> None:
    mixed = [finding(kind, "a") for kind in ("range", "my-rule", "type", "column-renamed")]
    assert ids(finding("duplicates", severity="warning"), *mixed) == ["column-renamed", "type", "range", "my-rule", "duplicates"]


def test_equal_lines_of_different_files_have_no_cause_in_common() -> None:
    apart = [renamed(finding("allowed", name, (7,)), f"{file}.csv") for name, file in zip("abcd", "xyxy", strict=True)]
    assert ids(*apart) == ["allowed"] * 4
    (found,) = root_causes([renamed(finding("allowed", name, (7,)), "x.csv") for name in "abcd"], ROWS)
    assert (found.file, found.lines, found.message.count("x.csv")) == ("x.csv", (7,), 1)
