"""Releases as folders: an immutable copy of a model and the digests that prove it is still the same."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.errors import ModelUnreadable
from pushline.files import HALF, read_json, remove, sha256_of, tidy, whole_folder, with_unknown, write_json
from pushline.results import Release, Scalar
from pushline.serving.model_folder import read_contract, read_golden, read_scoring
from pushline.settings import Serving

MODEL = "model"
RECORD = "release.json"
CANDIDATE = "candidate.json"  # the settings of a candidate whose release has been live with others


class ReleaseManifest(Struct, frozen=True, kw_only=True):
    """What `release.json` says of the copy beside it."""

    release: Release
    sha256: dict[str, str]  # of every file of the model, by its path in the folder
    serving: dict[str, Scalar] = {}  # the settings it was verified with, and comes back with


class ReleaseFolders:
    """`.pushline/releases/<id>/`: `model/`, `release.json`, and beside a candidate of that release `candidate.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def here(self, release: Release) -> Release:
        """The release with its copy as its model."""
        return msgspec.structs.replace(release, model=str(self.root / release.id / MODEL))

    def keep(self, release: Release, settings: Serving) -> Release:
        """Copy the model of a candidate, checked before and after, and return its release with the copy as its model.

        What is kept of a release that was live already stays as it is until the candidate is promoted.

        Raises ModelUnreadable where the model is incomplete or its files are not the ones that were exported.
        """
        source = Path(release.model)
        check_whole(source)
        copy = self.here(release)
        digests = digests_of(source)
        kept = ReleaseManifest(release=copy, sha256=digests, serving=msgspec.structs.asdict(settings))
        before = self.kept(release.id)
        if before is not None and before.sha256 == digests == digests_of(self.root / release.id / MODEL):
            write_json(self.root / release.id / CANDIDATE, kept.serving)
        else:
            self._copy(source, kept)
            self.verify(copy)
        return copy

    def settings_of(self, release: Release, now: Serving, *, candidate: bool = False) -> Serving:
        """The settings a release was verified with, as a candidate or the last time it went live; what they do not say is as in `now`."""
        kept = self.kept(release.id)
        verified = kept.serving if kept else {}
        if candidate:
            verified = read_json(self.root / release.id / CANDIDATE, dict[str, Scalar]) or verified
        said = {name: value for name, value in verified.items() if name in Serving.__struct_fields__}
        try:
            return msgspec.convert({**msgspec.structs.asdict(now), **said}, Serving)
        except msgspec.ValidationError:
            return now

    def promoted(self, release: Release, settings: Serving) -> None:
        """From now on the release comes back with these settings: it is live with them."""
        kept = self.kept(release.id)
        if kept is not None:
            file = self.root / release.id / RECORD
            now = msgspec.structs.replace(kept, serving=msgspec.structs.asdict(settings))
            write_json(file, with_unknown(msgspec.to_builtins(now), msgspec.json.decode(file.read_bytes())))

    def discarded(self, release: Release) -> None:
        """No candidate of this release is left."""
        (self.root / release.id / CANDIDATE).unlink(missing_ok=True)

    def verify(self, release: Release) -> None:
        """Raises ModelUnreadable where the copy is not what was kept."""
        kept = self.kept(release.id)
        if kept is None:
            raise damaged(Path(release.model), f"{RECORD} is missing or can't be read")
        found = digests_of(Path(release.model))
        if found != kept.sha256:
            changed = sorted(name for name in {*found, *kept.sha256} if found.get(name) != kept.sha256.get(name))
            raise damaged(Path(release.model), f"{changed[0]} is not the file that was released")

    def kept(self, release_id: str) -> ReleaseManifest | None:
        return read_json(self.root / release_id / RECORD, ReleaseManifest)

    def prune(self, needed: tuple[Release, ...]) -> None:
        """Remove the copies of all other releases, and what an interrupted copy left; what a full disk keeps goes with the next one."""
        keep = {release.id for release in needed}
        if not self.root.is_dir():
            return
        tidy(self.root)
        for folder in self.root.iterdir():
            if folder.name not in keep and not folder.name.startswith(HALF):
                with suppress(OSError):  # the release is live: it does not fail for what nobody needs
                    remove(folder)

    def _copy(self, source: Path, kept: ReleaseManifest) -> None:
        """The copy appears under its name only when it is complete."""
        with whole_folder(self.root / kept.release.id) as half:
            shutil.copytree(source, half / MODEL)
            for file in files_of(half / MODEL):
                file.chmod(0o444)
            write_json(half / RECORD, kept)


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
