"""Tables that come as a sheet of a workbook."""

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from pushline.adopt.text_table import TextTable, read_text_table
from pushline.errors import DataCorrupt, SettingsError

pytest.importorskip("python_calamine", reason="python-calamine is not installed here: `make setup` brings it")

DATE = 's="1"'  # the second style of STYLES, in which a number is a day
STYLES = '<styleSheet><numFmts/><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
Cell = str | int | float | bool | tuple[int]  # the last: a day, counted from 1899-12-30


def cell(value: Cell) -> str:
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, tuple):
        return f"<c {DATE}><v>{value[0]}</v></c>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else "<c/>"
    return f"<c><v>{value}</v></c>"


def workbook(file: Path, hidden: str = "", **sheets: list[list[Cell]]) -> Path:
    """A workbook as spreadsheets write it, as far as a reader looks."""
    names = list(sheets)
    states = {name: ' state="hidden"' if name == hidden else "" for name in names}
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"{states[name]}/>' for n, name in enumerate(names, 1))
    related = "".join(
        f'<Relationship Id="r{n}" Type="{RELATION}/worksheet" Target="worksheets/s{n}.xml"/>' for n in range(1, len(names) + 1)
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        root = f'<Relationships><Relationship Id="r1" Type="{RELATION}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        archive.writestr("_rels/.rels", root)
        archive.writestr("xl/workbook.xml", f'<workbook xmlns:r="{RELATION}"><sheets>{listed}</sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{related}</Relationships>")
        archive.writestr("xl/styles.xml", STYLES)
        for n, rows in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(f"xl/worksheets/s{n}.xml", f"<worksheet><sheetData>{body}</sheetData></worksheet>")
    return file


ORDERS: list[list[Cell]] = [
    ["id", "price", "placed", "paid", "note"],
    [1, 2.5, (46000,), True, "a, b"],
    [2, 1234567.0, (46001,), False, ""],
]


def read(file: Path, sheet: str | None = None) -> TextTable:
    folder = file.parent / "scratch"
    folder.mkdir(exist_ok=True)
    return read_text_table(file, folder, sheet)


def test_the_first_sheet_that_is_shown_is_the_table_and_that_is_told(tmp_path: Path) -> None:
    file = workbook(tmp_path / "orders.xlsx", hidden="Old", Old=[["x", "y"], [1, 2]], Orders=ORDERS, Notes=[["n"], ["x"]])
    source = read(file)
    assert (source.names, source.rows, source.file.name) == (("id", "price", "placed", "paid", "note"), 2, "orders.csv")
    assert source.file.read_text() == 'id,price,placed,paid,note\n1,2.5,2025-12-09,true,"a, b"\n2,1234567,2025-12-10,false,\n'
    assert source.changed == ("orders.csv out of sheet Orders of orders.xlsx, not Notes (--sheet names another)",)


def test_a_named_sheet_is_the_table(tmp_path: Path) -> None:
    file = workbook(tmp_path / "book.xlsx", A=ORDERS, B=[["p", "q"], [1, "x"], ["", ""], [2, "y"]])
    assert (read(file, "B").names, read(file, "B").rows) == (("p", "q"), 2)
    with pytest.raises(SettingsError, match="It has A, B"):
        read(file, "C")


def test_a_sheet_with_a_title_above_its_columns_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = workbook(tmp_path / "book.xlsx", Report=[["Orders of November"], *ORDERS])
    with pytest.raises(DataCorrupt, match=r"names 1 of 5 columns \(Orders of November\)"):
        read(file)


@pytest.mark.parametrize("rows", [[], [["", ""]]])
def test_an_empty_sheet_is_refused(rows: list[list[Cell]], tmp_path: Path) -> None:
    with pytest.raises(DataCorrupt, match="is empty"):
        read(workbook(tmp_path / "book.xlsx", Empty=rows))


@pytest.mark.parametrize("content", [b"\xd0\xcf\x11\xe0" + b"0" * 600, "half"], ids=["with a password, or older than 2007", "half of it"])
def test_a_workbook_that_can_not_be_read_is_refused_with_what_to_do(content: bytes | str, tmp_path: Path) -> None:
    file = workbook(tmp_path / "book.xlsx", A=ORDERS)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(DataCorrupt) as told:
        read(file)
    assert "workbook" in told.value.why
    assert "Nothing was changed" in told.value.do


def test_a_sheet_of_what_has_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SettingsError, match="no sheets"):
        read(tmp_path / "t.csv", "A")
