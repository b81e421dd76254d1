"""Where the wheel of another version comes from: a file, the package index, or a release on GitHub. And where that of today lies."""

import subprocess
import sys
from pathlib import Path

from pushline.errors import SettingsError, TargetError
from pushline.files import sha256_of
from pushline.github import gh
from pushline.template.answers import PLACE, load_record
from pushline.template.answers import Engine as Pin
from pushline.upgrade.engine import VENDOR, Engine, engine_of


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
