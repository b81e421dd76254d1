"""A version of the engine: the wheel that holds it, and what its template writes for recorded answers."""

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
