"""A version of the engine: the wheel that holds it, and what its template writes for recorded answers.

The wheel of today lies in the repository; that of another version comes from a file, the package index, or a release on GitHub.
"""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from msgspec import Struct
from packaging.version import InvalidVersion, Version

from pushline.errors import SettingsError, TargetError
from pushline.files import sha256_of
from pushline.github import gh
from pushline.template.answers import PLACE, load_record
from pushline.template.answers import Engine as Pin

TEMPLATE = "pushline/template/__main__.py"
VENDOR = "vendor"
CHANGELOG = "pushline/template/CHANGELOG.md"
NAME = re.compile(r"pushline-(?P<version>[^-]+)(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
HEADING = re.compile(r"^## \[?v?(?P<version>[^\s\]]+)", re.MULTILINE)
BY_HAND = "### By hand"


class Notes(Struct, frozen=True, kw_only=True):
    """What the changelog says of one version; `by_hand` is what a person must do."""

    version: str
    text: str
    by_hand: str = ""


class Engine(Struct, frozen=True, kw_only=True):
    """One wheel."""

    wheel: Path
    version: str
    sha256: str

    def render(self, answers: bytes, to: Path) -> None:
        """Write the pristine repository of this version for `answers` into the empty folder `to`. Raises TargetError where it can't."""
        asked = to.with_name(f"{to.name}-answers.json")
        asked.write_bytes(answers)
        known = {name: value for name, value in os.environ.items() if not name.endswith("TOKEN")}  # of a job, which the wheel need not have
        environment = {**known, "PYTHONPATH": str(self.wheel), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-P", "-m", "pushline.template", str(asked), str(to)]
        try:
            ran = subprocess.run(command, cwd=to, env=environment, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired as error:
            raise TargetError(f"The template of {self.version} did not end in 2 minutes.", do="Run the same command again.") from error
        if ran.returncode:
            said = ran.stderr.strip() or f"It ended with {ran.returncode}."
            raise TargetError(
                f"The template of {self.version} can't be rendered with this repository's answers.",
                why=said.splitlines()[-1] if "Traceback" in said else said,
                do="Nothing was changed. Look at template.json; where it is as it was made, report this with both versions.",
            )

    def notes(self) -> list[Notes]:
        """The sections of its changelog, newest first; what has no number yet is this version's."""
        with zipfile.ZipFile(self.wheel) as archive:
            if CHANGELOG not in archive.namelist():
                return []
            text = archive.read(CHANGELOG).decode()
        heads = list(HEADING.finditer(text))
        ends = [*(head.start() for head in heads[1:]), len(text)]
        return [noted(head, text[head.end() : end], self.version) for head, end in zip(heads, ends, strict=False)]


def noted(head: re.Match[str], body: str, newest: str) -> Notes:
    said, _, by_hand = body.partition("\n")[2].partition(BY_HAND)  # the rest of the heading's line is a date
    version = newest if head["version"].lower() == "unreleased" else head["version"]
    return Notes(version=version, text=said.strip(), by_hand=by_hand.strip())


def engine_of(wheel: Path) -> Engine:
    """The engine in a wheel. Raises SettingsError where the file is none that a thin repository can be upgraded to."""
    named = NAME.fullmatch(wheel.name)
    why = "" if named else "Its name is not pushline-VERSION-py3-none-any.whl."
    if named:
        try:
            with zipfile.ZipFile(wheel) as archive:
                why = "" if TEMPLATE in archive.namelist() else "It holds no template: it is of a version before thin repositories."
        except (OSError, zipfile.BadZipFile) as error:
            why = f"{error}."
    if named is None or why:
        raise SettingsError(
            f"{wheel} is no engine to upgrade to.", why=why, do="Name a wheel of Pushline: --to WHEEL. Nothing was changed."
        )
    return Engine(wheel=wheel.resolve(), version=named["version"], sha256=sha256_of(wheel))


def number(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion as error:
        raise SettingsError(f"{version} is no version.", why=f"{error}.", do="Name one such as 0.2.0.") from error


def notes_between(engine: Engine, before: str) -> list[Notes]:
    """What changed after the version `before` up to this one, newest first."""
    wanted = []
    for notes in engine.notes():
        try:
            if Version(before) < Version(notes.version) <= Version(engine.version):
                wanted.append(notes)
        except InvalidVersion:  # a heading that names no version
            continue
    return wanted


class NoneKnown(SettingsError):
    """Nothing says which versions there are, or the folder is no thin repository."""


def pin_of(root: Path) -> Pin:
    """The engine that a thin repository is pinned to. Raises SettingsError where the folder is none, or its record can't be read."""
    home = (root / "src" / "pushline").is_dir()
    record = None if home else load_record(root)
    if record is None:
        raise NoneKnown(
            f"{root} is no thin repository.",
            why="It holds the engine's own source." if home else f"{PLACE} is missing, which names its engine.",
            do="`pushline upgrade` works in a repository that `pushline new` or `pushline adopt` made.",
        )
    return record.engine


def present(root: Path, pin: Pin, scratch: Path) -> Engine:
    """The engine that the repository was made with. Raises SettingsError where its bytes are not the recorded ones."""
    if pin.source == "index":
        wheel = from_index(pin.version, scratch / "present")
    else:
        wheel = root / VENDOR / f"pushline-{pin.version}-py3-none-any.whl"
    if not wheel.is_file() or sha256_of(wheel) != pin.sha256:
        raise SettingsError(
            f"{wheel.name} is not the wheel that {PLACE} records.",
            why=f"Its sha256 is to be {pin.sha256}; what it made of the answers is what your changes are measured against.",
            do=f"Restore {VENDOR}/ from git. Nothing was changed.",
        )
    return engine_of(wheel)


def wanted(root: Path, pin: Pin, to: str | None, scratch: Path) -> Engine:
    """The engine to upgrade to: a wheel, a version, or the newest that is known. Raises SettingsError where none can be known."""
    if to and (to.endswith(".whl") or Path(to).is_file()):
        if not Path(to).is_file():
            raise SettingsError(f"{to} is not there.", why="--to names a wheel that can't be found.", do="Correct its path.")
        return engine_of(Path(to))
    if pin.source == "index":
        return engine_of(from_index(to or "", scratch / "wanted"))
    if pin.repository:
        return engine_of(from_release(pin.repository, to or "", scratch / "wanted"))
    raise NoneKnown(
        f"upgrade does not know where {to or 'newer versions'} can be had.",
        why=f"The engine lies in {VENDOR}/, and {PLACE} names no `repository` on GitHub whose releases hold others.",
        do=f'Download the wheel and name it: pushline upgrade --to WHEEL. Or write "repository": "OWNER/NAME" into {PLACE}.',
    )


def from_index(version: str, to: Path) -> Path:
    """The wheel of a version, or the newest one, from the index that pip is set up for."""
    named = f"pushline=={version}" if version else "pushline"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    ran = subprocess.run([*command, "--only-binary=:all:", "--dest", str(to), named], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise TargetError(
            f"{named} can't be had from the package index.",
            why=(ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1:][0] if ran.stderr.strip() or ran.stdout.strip() else "",
            do="Look whether the index can be reached and has it, or name a wheel: --to WHEEL. Nothing was changed.",
        )
    return only_wheel(to, named)


def from_release(repository: str, version: str, to: Path) -> Path:
    """The wheel that a release on GitHub holds: that of the tag vVERSION, or of the latest."""
    release = gh.api(f"repos/{repository}/releases/{f'tags/v{version}' if version else 'latest'}")
    wheels = [asset for asset in release.get("assets", []) if str(asset.get("name", "")).endswith(".whl")]
    if len(wheels) != 1:
        raise TargetError(
            f"The release {release.get('tag_name')} of {repository} holds {len(wheels)} wheels.",
            why="An upgrade takes the one wheel of a release.",
            do="Name another version, or a wheel: --to WHEEL. Nothing was changed.",
        )
    name = Path(str(wheels[0]["name"])).name
    gh.download(f"repos/{repository}/releases/assets/{wheels[0]['id']}", to / name, "-H", "Accept: application/octet-stream")
    return to / name


def only_wheel(folder: Path, named: str) -> Path:
    found = list(folder.glob("*.whl"))
    if len(found) != 1:
        raise TargetError(f"The package index has no wheel of {named}.", do="Name a wheel: --to WHEEL. Nothing was changed.")
    return found[0]
