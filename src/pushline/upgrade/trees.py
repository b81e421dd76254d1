"""Git's trees, in a scratch repository that borrows the objects of the real one: nothing is written there."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from pushline.errors import SettingsError, TargetError
from pushline.files import cannot_write

Tree = dict[str, tuple[str, str]]  # path: mode and blob
Stages = dict[str, dict[int, tuple[str, str]]]  # of a path in conflict: git's three stages, mode and blob each
AUTHOR = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "Pushline"), ("EMAIL", "-"))}
OPTIONS = ("-c", "core.autocrlf=false", "-c", "core.attributesFile=/dev/null", "-c", "merge.directoryRenames=false", "-c", "gc.auto=0")


def git(
    folder: Path, *arguments: str, given: bytes | None = None, env: Mapping[str, str] | None = None, codes: Iterable[int] = (0,)
) -> bytes:
    """What git prints in `folder`, whatever a hook of it has set. Raises SettingsError without git, TargetError with what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        ran = subprocess.run(
            ["git", *OPTIONS, *arguments], cwd=folder, input=given, env={**kept, **(env or {})}, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise SettingsError("The command git is missing.", why="An upgrade is a merge.", do="Install git 2.38 or newer.") from error
    if ran.returncode not in codes:
        said = ran.stderr.decode(errors="replace").strip()
        raise TargetError(
            f"git {arguments[0]} failed.",
            why=said,
            do="An upgrade needs a git repository with a commit, and git 2.38 or newer. Nothing was changed.",
        )
    return ran.stdout


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder outside the repository for what is not kept. Raises TargetError where the disk refuses."""
    try:
        with tempfile.TemporaryDirectory(prefix="pushline-upgrade-") as folder:
            yield Path(folder)
    except OSError as error:
        raise cannot_write(Path(tempfile.gettempdir()), error) from error


class Merge(Struct, frozen=True):
    """What git made of three trees: with markers where it could not."""

    tree: Tree
    conflicts: Stages


class Scratch:
    """A bare repository in `place` that can read what the one around `root` holds."""

    def __init__(self, place: Path, root: Path) -> None:
        self.place = place / "git"
        form = git(root, "rev-parse", "--show-object-format").decode().strip()
        git(place, "init", "--quiet", "--bare", f"--object-format={form}", str(self.place))
        objects = (root / git(root, "rev-parse", "--git-path", "objects").decode().rstrip("\n")).resolve()
        (self.place / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        self.committed = self.entries(git(root, "rev-parse", "HEAD:./").decode().strip())
        self.index_file = place / "index"

    def git(self, *arguments: str, given: bytes | None = None, codes: Iterable[int] = (0,)) -> bytes:
        return git(self.place, *arguments, given=given, env={**AUTHOR, "GIT_INDEX_FILE": str(self.index_file)}, codes=codes)

    def entries(self, tree: str) -> Tree:
        listed = git(self.place, "ls-tree", "-r", "-z", tree).decode("utf-8", "surrogateescape").split("\0")
        split = (entry.partition("\t") for entry in listed if entry)
        return {path: (head.split()[0], head.split()[2]) for head, _, path in split}

    def added(self, folder: Path) -> Tree:
        """The files of a folder, whatever it ignores."""
        self.index_file.unlink(missing_ok=True)
        self.git(f"--work-tree={folder}", "add", "--all", "--force", str(folder))
        return self.entries(self.git("write-tree").decode().strip())

    def written(self, tree: Tree) -> str:
        self.index_file.unlink(missing_ok=True)
        lines = "".join(f"{mode} {blob}\t{path}\0" for path, (mode, blob) in tree.items())
        self.git("update-index", "-z", "--index-info", given=lines.encode("utf-8", "surrogateescape"))
        return self.git("write-tree").decode().strip()

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", given=content).decode().strip()

    def content(self, tree: Tree, path: str) -> bytes:
        return self.git("cat-file", "blob", tree[path][1])

    def renames(self, before: Tree, after: Tree) -> dict[str, str]:
        """Which file became which."""
        said = self.git("diff-tree", "-r", "-M", "-z", "--diff-filter=R", "--name-status", self.written(before), self.written(after))
        parts = said.decode("utf-8", "surrogateescape").split("\0")
        return {parts[at + 1]: parts[at + 2] for at in range(0, len(parts) - 2, 3)}

    def merge(self, base: Tree, ours: Tree, theirs: Tree, name: str) -> Merge:
        """Three-way, renames included; conflicts are marked `yours` and `name`."""
        began = self.commit(self.written(base))
        for branch, tree in (("yours", ours), (name, theirs)):
            self.git("update-ref", f"refs/heads/{branch}", self.commit(self.written(tree), began))
        said = self.git("merge-tree", "--write-tree", "--no-messages", "-z", "yours", name, codes=(0, 1))
        made, *entries = said.decode("utf-8", "surrogateescape").split("\0")
        conflicts: Stages = {}
        for entry in filter(None, entries):
            head, _, path = entry.partition("\t")
            mode, blob, stage = head.split()
            conflicts.setdefault(path, {})[int(stage)] = (mode, blob)
        return Merge(self.entries(made), conflicts)

    def commit(self, tree: str, *parents: str) -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *words, "-m", "-").decode().strip()
