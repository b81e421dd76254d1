"""Releases as folders: an immutable copy of a model and the digests that prove it is still the same."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.errors import ModelUnreadable
from pushline.files import cannot_write, write_json
from pushline.results import Release, Scalar
from pushline.serving.model_folder import read_contract, read_golden, read_scoring
from pushline.settings import Serving

MODEL = "model"
RECORD = "release.json"


class Kept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `release.json` says of the copy beside it."""

    release: Release
    sha256: dict[str, str]  # of every file of the model, by its path in the folder
    serving: dict[str, Scalar] = {}  # the settings it was verified with, and comes back with


class ReleaseFolders:
    """`.pushline/releases/<id>/`: `model/` and `release.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def here(self, release: Release) -> Release:
        """The release with its copy as its model."""
        return msgspec.structs.replace(release, model=str(self.root / release.id / MODEL))

    def keep(self, release: Release, settings: Serving) -> Release:
        """Copy the release's model, checked before and after, and return the release with the copy as its model.

        Raises ModelUnreadable where the model is incomplete or its files are not the ones that were exported.
        """
        source = Path(release.model)
        check_whole(source)
        copy = self.here(release)
        digests = digests_of(source)
        kept = Kept(release=copy, sha256=digests, serving=msgspec.structs.asdict(settings))
        if self._same(release.id, digests):
            write_json(self.root / release.id / RECORD, kept)
        else:
            self._copy(source, kept)
            self.verify(copy)
        return copy

    def settings_of(self, release: Release, now: Serving) -> Serving:
        """The settings a release was kept with; what they do not say is as in `now`."""
        kept = self.kept(release.id)
        said = {name: value for name, value in (kept.serving if kept else {}).items() if name in Serving.__struct_fields__}
        try:
            return msgspec.convert({**msgspec.structs.asdict(now), **said}, Serving)
        except msgspec.ValidationError:
            return now

    def verify(self, release: Release) -> None:
        """Raises ModelUnreadable where the copy is not what was kept."""
        kept = self.kept(release.id)
        if kept is None:
            raise damaged(Path(release.model), f"{RECORD} is missing or can't be read")
        found = digests_of(Path(release.model))
        if found != kept.sha256:
            changed = sorted(name for name in {*found, *kept.sha256} if found.get(name) != kept.sha256.get(name))
            raise damaged(Path(release.model), f"{changed[0]} is not the file that was released")

    def kept(self, release_id: str) -> Kept | None:
        try:
            return msgspec.json.decode((self.root / release_id / RECORD).read_bytes(), type=Kept)
        except (OSError, msgspec.DecodeError):
            return None

    def prune(self, needed: tuple[Release, ...]) -> None:
        """Remove the copies of all other releases, and what an interrupted copy left."""
        keep = {release.id for release in needed}
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _same(self, release_id: str, digests: dict[str, str]) -> bool:
        kept = self.kept(release_id)
        return kept is not None and kept.sha256 == digests == digests_of(self.root / release_id / MODEL)

    def _copy(self, source: Path, kept: Kept) -> None:
        """The copy appears under its name only when it is complete."""
        final = self.root / kept.release.id
        partial: Path | None = None
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f".{kept.release.id}.", dir=self.root))
            shutil.copytree(source, partial / MODEL)
            for file in files_of(partial / MODEL):
                file.chmod(0o444)
            write_json(partial / RECORD, kept)
            if final.exists():
                shutil.rmtree(final)
            partial.rename(final)
        except BaseException as error:
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError):  # shutil.Error, which collects what copytree met, is one too
                raise cannot_write(final, reason_of(error)) from error
            raise


def reason_of(error: OSError) -> OSError:
    """The first reason inside the list that copytree raises."""
    if isinstance(error, shutil.Error) and error.args and error.args[0]:
        return OSError(str(error.args[0][0][2]))
    return error


def check_whole(folder: Path) -> None:
    """Raises ModelUnreadable where a part of the model folder is missing, damaged or not the one that was exported."""
    scoring = read_scoring(folder)
    read_contract(folder)
    if not read_golden(folder):
        raise damaged(folder, "golden.json holds no row, so nothing could prove what the model answers")
    for name, expected in scoring.sha256.items():
        if not (folder / name).is_file():
            raise damaged(folder, f"{name} is missing")
        if sha256_of(folder / name) != expected:
            raise damaged(folder, f"{name} is not the file that training exported (its sha256 differs)")


def damaged(folder: Path, why: str) -> ModelUnreadable:
    return ModelUnreadable(
        f"The model folder {folder} can't be used.",
        why=f"{why[:1].upper()}{why[1:]}.",
        do="Deploy a version that is whole (`pushline deploy --version N`), or train and register again.",
    )


def files_of(folder: Path) -> list[Path]:
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)


def digests_of(folder: Path) -> dict[str, str]:
    try:
        return {str(file.relative_to(folder)): sha256_of(file) for file in files_of(folder)}
    except OSError as error:
        raise damaged(folder, str(error)) from error


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
