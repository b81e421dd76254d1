"""The one table in a gzip or ZIP file, unpacked; a sheet of a workbook, as CSV."""

import csv
import gzip
import shutil
import zipfile
import zlib
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pushline.data.files.version import PARQUET
from pushline.errors import DataCorrupt, SettingsError
from pushline.files import cannot_write

TABLES = (".csv", ".tsv", ".txt", PARQUET)
GZIP, ZIP, WORKBOOK = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06"), "[Content_Types].xml"
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"  # .xls, and newer ones with a password


def unpacked(file: Path, head: bytes, folder: Path, sheet: str | None = None) -> tuple[Path, str]:
    """The table in `file`, written into `folder`, and what it came out of; `file` itself and nothing where it is not packed.

    Raises DataCorrupt where it is damaged, or does not hold one table; SettingsError where it has no sheet of that name.
    """
    if head.startswith(OLD_WORKBOOK) or (head.startswith(ZIP) and is_workbook(file)):
        return from_workbook(file, folder, sheet)
    if sheet is not None:
        raise SettingsError(f"{file.name} has no sheets.", why="--sheet names one of a workbook.", do="Leave it out. Nothing was changed.")
    table = out_of(file, head, folder)
    return table, "" if table == file else file.name


def is_workbook(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return WORKBOOK in archive.namelist()
    except zipfile.BadZipFile:
        return False


def from_workbook(file: Path, folder: Path, sheet: str | None) -> tuple[Path, str]:
    """A sheet of a workbook as CSV: the one named, or the first that is shown; dates as ISO, whole numbers without a point."""
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    try:
        with CalamineWorkbook.from_path(file) as book:
            shown = [each.name for each in book.sheets_metadata if each.visible == SheetVisibleEnum.Visible]
            name = next(iter(shown), "") if sheet is None else sheet
            if name not in book.sheet_names:
                raise SettingsError(
                    f"{file.name} has no sheet {name!r}.", why=f"It has {', '.join(book.sheet_names)}.", do="Name one of them with --sheet."
                )
            rows = [list(map(plain, row)) for row in book.get_sheet_by_name(name).iter_rows()]
    except CalamineError as error:
        raise refused(file, f"The workbook can't be read: {error}", "Take its password off, or save the sheet as CSV UTF-8") from error
    table = named_columns(rows, file, name)
    place = folder / f"{file.stem}.csv"
    with place.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(table)
    others = (
        f", not {', '.join(each for each in shown if each != name)} (--sheet names another)" if sheet is None and len(shown) > 1 else ""
    )
    return place, f"sheet {name} of {file.name}{others}"


def named_columns(rows: list[list[str]], file: Path, sheet: str) -> list[list[str]]:
    """A sheet's rows without empty ones and empty columns behind. Raises DataCorrupt where its first row is not the columns' names."""
    rows = [row for row in rows if any(row)]
    if not rows:
        raise refused(file, f"Its sheet {sheet!r} is empty", "Name another with --sheet")
    width = max(at for row in rows for at, cell in enumerate(row, 1) if cell)
    named = [cell for cell in rows[0] if cell]
    if len(named) < width:
        names = ", ".join(named)[:60]
        shape = f"The first row of its sheet {sheet!r} names {len(named)} of {width} columns ({names})"
        raise refused(file, shape, "Let the sheet begin with the columns' names, without a title above them")
    return [row[:width] for row in rows]


def plain(cell: Any) -> str:
    """A cell's value as text."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, date | datetime) else str(cell)


def out_of(file: Path, head: bytes, folder: Path) -> Path:
    """What a gzip or ZIP file holds; `file` itself where it is neither."""
    try:
        if head.startswith(GZIP):
            place = folder / (file.stem if Path(file.stem).suffix in TABLES else f"{file.stem}.csv")
            with gzip.open(file) as packed, place.open("wb") as out:
                shutil.copyfileobj(packed, out, 1 << 20)
            return place
        if head.startswith(ZIP):
            with zipfile.ZipFile(file) as archive:
                return from_zip(archive, file, folder)
    except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError) as error:
        raise refused(file, f"It is damaged or incomplete: {error}", "Download or pack it again") from error
    except RuntimeError as error:  # the only one of zipfile: a password
        raise refused(file, f"It can't be unpacked: {error}", "Unpack it, and name the file inside it") from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    return file


def from_zip(archive: zipfile.ZipFile, file: Path, folder: Path) -> Path:
    members = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
    tables = [each for each in members if Path(each.filename).suffix.lower() in TABLES]
    if len(tables) != 1:
        held = ", ".join(each.filename for each in members[:5]) or "nothing"
        raise refused(file, f"It holds {len(tables) or 'no'} tables ({held}), and adopt reads one", "Unpack it, and name one file")
    place = folder / Path(tables[0].filename).name  # the name alone: a path in an archive may lead anywhere
    with archive.open(tables[0]) as packed, place.open("wb") as out:
        shutil.copyfileobj(packed, out, 1 << 20)
    return place


def refused(file: Path, why: str, do: str) -> DataCorrupt:
    return DataCorrupt(f"{file.name} can't be adopted.", why=f"{why}.", do=f"Nothing was changed. {do}.")
