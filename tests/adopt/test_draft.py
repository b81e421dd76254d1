"""How the cells of a column become a column of the contract."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from pushline.adopt.columns import ColumnDraft, draft
from pushline.adopt.facts import facts_of
from pushline.adopt.label import Label, label_of
from pushline.adopt.text_table import TextTable, read_text_table
from pushline.errors import DataCorrupt, SettingsError

ROWS = 60


def source_of(folder: Path, text: str | bytes, name: str = "t.csv") -> TextTable:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_text_table(file, folder)


def drafted(folder: Path, values: list[object], decimal: str | None = None) -> ColumnDraft:
    """The draft of a column that holds these values, again and again."""
    cells = [values[row % len(values)] for row in range(ROWS)]
    file = folder / "t.csv"
    pd.DataFrame({"it": cells, "other": range(ROWS)}).to_csv(file, index=False)
    source = read_text_table(file, folder)
    return draft(facts_of(source, folder, decimal)[0], source)


@pytest.mark.parametrize(
    ("values", "kind", "role"),
    [
        ([3, 1, 7], "integer", "feature"),
        ([3.5, 1, 7], "number", "feature"),
        (["1e3", "2.5"], "number", "feature"),
        ([True, False], "boolean", "feature"),
        (["a", "b", "c"], "string", "feature"),
        (["00123", "00456"], "string", "feature"),
        (["same"], "string", "ignored"),
        ([None], "string", "ignored"),
        (["2024-05-01", "2024-06-01 10:00"], "datetime", "feature"),
        (["01.05.2024", "24.12.2024"], "date", "feature"),
        (["01.05.2024", "2024-12-24"], "string", "ignored"),
        (["01/05/2024", "02/12/2024"], "string", "ignored"),
        (["12:30", "09:15"], "string", "feature"),
        ([f"a text of some length, number {n}, that says many things" for n in range(ROWS)], "string", "ignored"),
        ([f"value {n}" for n in range(45)], "string", "ignored"),
        ([f"k-{n}" for n in range(ROWS)], "string", "identifier"),
        (list(range(500, 500 + ROWS)), "integer", "identifier"),
        (["5", "7", "seven"], "string", "feature"),
    ],
)
def test_a_column_is_read_as_what_its_cells_look_like(values: list[object], kind: str, role: str, tmp_path: Path) -> None:
    column = drafted(tmp_path, values).column
    assert (column.type, column.role) == (kind, role)
    assert (role == "feature") != bool(column.reason)


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (["2024-05-01", "2024-12-24"], "date", "2024-05-01"),
        (["2024-05-01T10:00:00Z", "NA"], "datetime", "2024-05-01T10:00:00Z"),
        (["01.05.2024", "24.12.2024", "?"], "date", "2024-05-01"),
        (["1.5.2024", "24.12.2024"], "date", "2024-05-01"),
        (["05/01/2024", "12/24/2024"], "date", "2024-05-01"),
        (["01/05/24", "24/12/24"], "date", "2024-05-01"),
        (["01-May-2024", "24-Dec-2024"], "date", "2024-05-01"),
        (["May 1, 2024", "December 24, 2024"], "date", "2024-05-01"),
        (["2024/05/01 10:00:30", "2024/06/01 10:00:30"], "datetime", "2024-05-01T10:00:30"),
        (["05/01/2024 02:30 PM", "12/24/2024 11:00 AM"], "datetime", "2024-05-01T14:30:00"),
        (["2024-05", "2024-06"], "date", "2024-05-01"),
    ],
)
def test_dates_of_one_form_become_iso_and_are_told(values: list[str], kind: str, first: str, tmp_path: Path) -> None:
    made = drafted(tmp_path, [*values, *values])
    assert made.column.type == kind
    with duckdb.connect() as connection:
        sql = (made.rewrite or "{cell}").replace("{cell}", "v")
        assert connection.execute(f"SELECT {sql} FROM (SELECT ? AS v)", [values[0]]).fetchone() == (first,)
    assert bool(made.rewrite) == bool(made.rewritten)


def test_days_and_months_that_can_not_be_told_apart_are_left_out_with_the_reason(tmp_path: Path) -> None:
    column = drafted(tmp_path, ["01/05/2024", "02/12/2024"]).column
    assert "days and months can't be told apart. Write them as 2026-11-27" in column.reason


def test_of_too_many_texts_the_common_ones_are_listed_and_the_others_accepted(tmp_path: Path) -> None:
    cells = [f"rare {n}" if n % 3 == 0 else f"common {n % 20}" for n in range(900)]
    pd.DataFrame({"it": cells, "other": range(900)}).to_csv(tmp_path / "t.csv", index=False)
    source = read_text_table(tmp_path / "t.csv", tmp_path)
    column = draft(facts_of(source, tmp_path)[0], source).column
    assert (column.role, column.other, column.closed) == ("feature", True, False)
    assert column.allowed == tuple(sorted({value for value in cells if value.startswith("common")}, key=str))
    assert column.missing_at_most > 1 / 3  # those that are not listed are missing for the model, and for rows made like these


def test_whole_numbers_that_differ_are_no_identifier_unless_dense_or_called_so(tmp_path: Path) -> None:
    assert drafted(tmp_path, [n * n for n in range(ROWS)]).column.role == "feature"


def test_bounds_are_wider_than_what_was_seen_and_never_cross_zero(tmp_path: Path) -> None:
    column = drafted(tmp_path, [0.5, 99.5]).column
    assert (column.minimum, column.maximum, column.severity) == (0, 110, "warning")


def test_a_flag_of_zero_and_one_keeps_its_bounds(tmp_path: Path) -> None:
    column = drafted(tmp_path, [0, 1]).column
    assert (column.minimum, column.maximum) == (0, 1)


def test_empty_cells_are_tolerated_with_some_room(tmp_path: Path) -> None:
    assert drafted(tmp_path, [1, 2, 3, None]).column.missing_at_most == 0.4
    assert drafted(tmp_path, [1, 2, 3]).column.missing_at_most == 0


def test_words_for_nothing_among_numbers_become_empty_and_are_told(tmp_path: Path) -> None:
    made = drafted(tmp_path, ["1", "2", "n/a"])
    assert made.column.type == "integer"
    assert made.column.missing_at_most > 0.3
    assert made.rewritten == "'n/a' in `it` as empty"


def test_a_word_for_unknown_among_texts_stays_a_value(tmp_path: Path) -> None:
    made = drafted(tmp_path, ["a", "b", "?"])
    assert (made.column.unknown, made.column.allowed, made.rewritten) == ("?", ("?", "a", "b"), "")


def test_decimal_commas_become_points(tmp_path: Path) -> None:
    made = drafted(tmp_path, ["1,5", "22,75"])
    assert (made.column.type, made.column.maximum, made.rewritten) == ("number", 25, "decimal commas of `it` as points")


def test_a_comma_that_may_part_thousands_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataCorrupt, match=r"t\.csv can't be adopted") as caught:
        drafted(tmp_path, ["1,500", "2,750"])
    assert "thousands or decimals" in caught.value.why
    assert "--decimal" in caught.value.do


@pytest.mark.parametrize(
    ("values", "decimal", "kind", "span", "words"),
    [
        (["1.234,5", "2.000", "12"], None, "number", (12, 2000), "thousands of `it` such as 2.000"),
        (["1.234.567", "2.000", "12"], None, "integer", (12, 1234567), "thousands of `it`"),
        (["1,234.5", "2,000"], None, "number", (1234.5, 2000), "thousands of `it` such as 2,000"),
        (["1,500", "2,750"], ",", "number", (1.5, 2.75), "decimal commas of `it` as points"),
        (["1,500", "2,750"], ".", "integer", (1500, 2750), "thousands of `it` such as 1,500"),
        (["1.500", "2.750"], ",", "integer", (1500, 2750), "thousands of `it` such as 1.500"),
        (["5 %", "7.5 %"], None, "number", (5, 7.5), "% of `it` left out"),
        (["€ 1.234,50", "€ 2,00"], None, "number", (2, 1234.5), "€ of `it` left out"),
        (["12 EUR", "7 EUR", "-3 EUR"], None, "integer", (-3, 12), "EUR of `it` left out"),
        (["1,5", "2.5"], None, "number", (1.5, 2.5), "decimal commas of `it` as points"),
    ],
)
def test_numbers_as_people_write_them_are_read_in_the_one_way_their_column_allows(
    values: list[object], decimal: str | None, kind: str, span: tuple[float, float], words: str, tmp_path: Path
) -> None:
    made = drafted(tmp_path, values, decimal)
    low, high = made.column.minimum, made.column.maximum
    assert made.column.type == kind
    assert low is not None
    assert high is not None
    assert low <= span[0] <= span[1] <= high
    assert high - low < 1.6 * (span[1] - span[0])
    assert words in made.rewritten


def test_numbers_that_can_be_read_in_two_ways_are_told(tmp_path: Path) -> None:
    assert "1.500 of `it` was read as decimals (--decimal , reads it the other way)" in drafted(tmp_path, ["1.500", "2.750", "7"]).told
    assert drafted(tmp_path, ["0.500", "2.750"]).told == ""


def test_another_column_tells_how_numbers_that_can_be_read_in_two_ways_are_meant(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    pd.DataFrame({"it": ["1.500", "2.750"] * ROWS, "other": ["0,5", "2,75"] * ROWS}).to_csv(file, index=False)
    source = read_text_table(file, tmp_path)
    made = draft(facts_of(source, tmp_path)[0], source)
    assert (made.column.type, made.column.maximum) == ("integer", 2750)
    assert "read as thousands" in made.told


def test_two_currencies_in_one_column_are_no_numbers(tmp_path: Path) -> None:
    assert drafted(tmp_path, ["€ 5", "$ 7"]).column.type == "string"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_whatever_the_values_hold(delimiter: str, tmp_path: Path) -> None:
    rows = "".join(f'"x,;\t|\n{n}"{delimiter}{n}{delimiter}yes\n' for n in range(20))
    source = source_of(tmp_path, f"a{delimiter}b{delimiter}c\n{rows}")
    assert (source.delimiter, source.names, source.rows) == (delimiter, ("a", "b", "c"), 20)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("one\n1\n2\n", "No delimiter"),
        ("a,b\n1,2\n3\n4,5,6\n", "same number of columns"),
        ("a,b\n", "no row"),
        ("a,A\n1,2\n", "case only"),
        ("a,a\n1,2\n", "more than once"),
        ("1.5,2.5\n3,4\n", "is a row"),
        ("", "0 bytes"),
        ("größe,b\n1,2\n".encode("latin-1"), "not UTF-8"),
        (b"PK\x03\x04....", "damaged or incomplete"),
        ("a,file_row_number\n1,2\n", "checks themselves"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(text: str | bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises((DataCorrupt, SettingsError)) as caught:
        source_of(tmp_path, text)
    assert why in str(caught.value)
    assert "Nothing was changed" in str(caught.value) or caught.value.do


def test_a_folder_is_refused_with_what_to_name_instead(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").touch()
    with pytest.raises(DataCorrupt) as caught:
        read_text_table(tmp_path / "in", tmp_path)
    assert f"Name one file, such as {tmp_path / 'in' / 'a.csv'}" in str(caught.value)


def test_a_column_without_a_name_gets_one(tmp_path: Path) -> None:
    assert source_of(tmp_path, ",b\n0,1\n1,2\n").names == ("column 1", "b")


@pytest.mark.parametrize(
    ("values", "positive", "kind", "expected"),
    [
        (["yes", "no", "no"], None, "string", ("no", "yes", "yes")),
        ([1, 0, 0], None, "integer", ("0", "1", "1")),
        ([1.0, 0.0, None], None, "integer", ("0", "1", "1")),
        ([True, False], None, "boolean", ("false", "true", "true")),
        (["left", "left", "right"], None, "string", ("left", "right", "right")),
        (["left", "right"], "left", "string", ("left", "right", "left")),
        (["b", "a", "c"], None, "string", ("a", "b", "c", None)),
        ([10, 9, 2], None, "integer", ("2", "9", "10", None)),
    ],
)
def test_the_label_tells_its_classes_and_the_positive_one(
    values: list[object], positive: str | None, kind: str, expected: tuple[str | None, ...], tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    pd.DataFrame({"x": range(ROWS), "y": (values * ROWS)[:ROWS]}).to_csv(file, index=False)
    source = read_text_table(file, tmp_path)
    label = label_of({seen.name: seen for seen in facts_of(source, tmp_path)}, "y", positive, source)
    assert (label.column.type, *label.counts, label.positive) == (kind, *expected)


@pytest.mark.parametrize(
    ("values", "label", "positive", "why"),
    [
        ([1, 2], "Y", None, "Did you mean 'y'?"),
        ([1, 2], "z", None, "It has x, y."),
        ([1], "y", None, "1 class."),
        ([1, 2], "y", "3", "It holds '1' and '2'."),
        (["Ja", "Nein"], "y", "yes", "Did you mean --positive Ja?"),
        (["Ja", "Nein"], "y", "ja", "Did you mean --positive Ja?"),
        (["Ja", "Nein"], "y", "vielleicht", "such as --positive Ja"),
        ([1, 2, 3], "y", "3", "two classes"),
    ],
)
def test_a_label_that_is_none_is_refused(values: list[object], label: str, positive: str | None, why: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    pd.DataFrame({"x": range(ROWS), "y": (values * ROWS)[:ROWS]}).to_csv(file, index=False)
    source = read_text_table(file, tmp_path)
    with pytest.raises(SettingsError) as caught:
        label_of({seen.name: seen for seen in facts_of(source, tmp_path)}, label, positive, source)
    assert why in str(caught.value)


def labelled(folder: Path, values: list[object], task: str | None = None) -> Label:
    file = folder / "t.csv"
    pd.DataFrame({"it": values, "other": range(len(values))}).to_csv(file, index=False)
    source = read_text_table(file, folder)
    return label_of({seen.name: seen for seen in facts_of(source, folder)}, "it", None, source, task)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([n * 7 for n in range(80)], "regression"),
        ([n / 4 for n in range(80)], "regression"),
        ([n % 30 + 0.5 for n in range(80)], "regression"),
        ([n % 5 for n in range(80)], "classification"),
        ([n % 2 for n in range(80)], "classification"),
        ([n % 30 for n in range(80)], "classification"),
        ([f"class {n % 3}" for n in range(80)], "classification"),
    ],
)
def test_a_label_of_many_numbers_is_a_quantity_and_adopt_says_why(values: list[object], task: str, tmp_path: Path) -> None:
    label = labelled(tmp_path, values)
    assert label.task == task
    if task == "regression":
        assert "different numbers" in label.guessed
        assert label.column.allowed is None
        assert label.column.minimum == 0  # nothing that was seen is below


def test_the_task_can_be_said(tmp_path: Path) -> None:
    assert labelled(tmp_path, [n % 30 for n in range(80)], "regression").task == "regression"
    assert labelled(tmp_path, [n % 30 + 0.5 for n in range(80)], "classification").task == "classification"


@pytest.mark.parametrize(
    ("values", "task", "said"),
    [
        ([n * 7 for n in range(80)], "classification", "80 different values: it is a quantity"),
        ([n * 7 for n in range(79)] + ["much"], None, "but for cells such as 'much'"),
        (["a", "b"] * 40, "regression", "are no number, such as 'a'"),
        ([n * 7 for n in range(20)], "regression", "at least 50 rows are needed"),
        ([f"name {n}" for n in range(80)], None, "80 different values: it is no class"),
    ],
)
def test_a_label_that_is_neither_is_refused_with_what_to_do(values: list[object], task: str | None, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        labelled(tmp_path, values, task)
    assert said in refused.value.why
    assert "Nothing was changed." in refused.value.do


def test_columns_have_the_same_facts_counted_together_or_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {
        "euros": ["1.234,50 €", "7,5 €", "n/a"],
        "points": ["1,234.5", "2.25", ""],
        "words": ["two words", "?", "Ö"],
        "days": ["01.05.2024", "24.12.2024", "none"],
        "codes": ["007", "010", "007"],
        "empty": ["", "", ""],
    }
    pd.DataFrame({name: cells * 20 for name, cells in columns.items()}).to_csv(tmp_path / "t.csv", index=False)
    source = read_text_table(tmp_path / "t.csv", tmp_path)
    together = facts_of(source, tmp_path)
    monkeypatch.setattr("pushline.adopt.facts.CELLS_AT_ONCE", 1)
    assert facts_of(source, tmp_path) == together
    assert [(fact.filled, fact.numbers, fact.dates) for fact in together] == [
        (60, 40, 0), (40, 40, 0), (60, 0, 0), (60, 0, 40), (60, 60, 0), (0, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("yes", "no"), [("WAHR", "FALSCH"), ("Vrai", "Faux"), ("VERDADERO", "FALSO"), ("PRAWDA", "FAŁSZ"), ("ИСТИНА", "ЛОЖЬ")]
)
def test_true_and_false_of_another_language_are_booleans_and_that_is_told(yes: str, no: str, tmp_path: Path) -> None:
    rows = "".join(f"{yes if row % 3 else no},{row % 7},{'' if row == 5 else no}\n" for row in range(60))
    source = source_of(tmp_path, "paid,b,late\n" + rows.replace(f",{no}\n", f",{yes}\n", 9))
    facts = {seen.name: seen for seen in facts_of(source, tmp_path)}
    made = draft(facts["paid"], source)
    assert (made.column.type, made.column.missing_at_most) == ("boolean", 0.0)
    assert made.rewritten == f"{yes.lower()} and {no.lower()} of `paid` as true and false"
    with duckdb.connect() as connection:
        cells = connection.execute(f"SELECT DISTINCT {made.rewrite.replace('{cell}', 'c0')} FROM read_parquet('{source.cells}') ORDER BY 1")
        assert cells.fetchall() == [("false",), ("true",)]
    assert draft(facts["late"], source).column.type == "boolean"
