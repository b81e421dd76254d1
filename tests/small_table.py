"""A small table, and projects whose data it is: what holds for any number of rows is shown on few."""

from pathlib import Path

from command import run_cli
from pushline.data.files.version import table_of
from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, lock_text
from pushline.files import sha256_of
from pushline.project import Project

ROWS = 3000


def draw(repo: Path, file: Path, *, seed: int, rows: int = ROWS) -> Path:
    """Rows drawn from the example's profile."""
    drawn = run_cli(Project(repo), "sample", "--rows", str(rows), "--seed", str(seed), "--out", str(file))
    assert drawn.code == 0, drawn.err
    return file


def pin(project: Project, file: Path, *, url: str = "") -> None:
    """Make `file` the whole data of the project."""
    seen = table_of(file)
    source = FileSource(url=url, sha256=sha256_of(file)) if url else FileSource(sha256=sha256_of(file))
    pinned = PinnedFile(name=file.name, version=seen.version, rows=seen.rows, columns=seen.columns, sources=(source,))
    project.data_lock.write_text(lock_text(DataLock(files=(pinned,))))
