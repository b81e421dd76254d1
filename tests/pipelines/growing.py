"""Parts of the real file as data of their own."""

from pathlib import Path

from pushline.data.lock import DataLock, PinnedFile, Source, write_lock
from pushline.data.version import table_of
from pushline.files import sha256_of
from pushline.project import Project


def part_of(real: Path, to: Path, first: float, last: float, *, flip: bool = False) -> Path:
    """The rows of `real` between two shares of it, with the label (the last column, of two values) flipped or not."""
    header, *rows = real.read_text(encoding="utf-8").splitlines()
    taken = rows[int(len(rows) * first) : int(len(rows) * last)]
    if flip:
        values = sorted({row.rpartition(",")[2] for row in rows})
        other = dict(zip(values, reversed(values), strict=True))
        taken = [f"{front},{other[label]}" for front, _, label in (row.rpartition(",") for row in taken)]
    to.write_text("\n".join([header, *taken]) + "\n", encoding="utf-8")
    return to


def pin_only(project: Project, file: Path) -> None:
    """Make `file` the whole data of the project."""
    table = table_of(file)
    pinned = PinnedFile(
        name=file.name, version=table.version, rows=table.rows, columns=table.columns, sources=(Source(sha256=sha256_of(file)),)
    )
    write_lock(project.data_lock, DataLock(files=(pinned,)))
