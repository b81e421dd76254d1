"""The one table in a gzip or ZIP file, unpacked."""

import gzip
import shutil
import zipfile
import zlib
from pathlib import Path

from pushline.data.files.version import PARQUET
from pushline.errors import DataCorrupt
from pushline.files import cannot_write

TABLES = (".csv", ".tsv", ".txt", PARQUET)
GZIP, ZIP, WORKBOOK = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06"), "[Content_Types].xml"


def unpacked(file: Path, head: bytes, folder: Path) -> Path:
    """The table in `file`, written into `folder`; `file` itself where it is neither gzip nor ZIP, or a workbook.

    Raises DataCorrupt where it is damaged, or does not hold one table.
    """
    try:
        if head.startswith(GZIP):
            place = folder / (file.stem if Path(file.stem).suffix in TABLES else f"{file.stem}.csv")
            with gzip.open(file) as packed, place.open("wb") as out:
                shutil.copyfileobj(packed, out, 1 << 20)
            return place
        if head.startswith(ZIP):
            with zipfile.ZipFile(file) as archive:
                return file if WORKBOOK in archive.namelist() else from_zip(archive, file, folder)
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
