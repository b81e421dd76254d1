"""The engine as a wheel whose bytes depend on its files alone, built from the engine's repository or from where it is installed.

Both ways end in `pack`: sorted names, one date, no compression (other builds of zlib would give other bytes, and git keeps the
difference between two versions small). `python -m pushline.template.wheel FOLDER` writes it: `make wheel`.
"""

import base64
import hashlib
import importlib.metadata
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from msgspec import Struct

import pushline
from pushline.errors import SettingsError
from pushline.template.source import checkout

DATE = (1980, 1, 1, 0, 0, 0)
DESCRIBED = ("METADATA", "WHEEL", "entry_points.txt")  # what of its description is the wheel's own, and not an installer's


class Wheel(Struct, frozen=True, kw_only=True):
    """The file, and the version in its name."""

    version: str
    content: bytes

    @property
    def name(self) -> str:
        return f"pushline-{self.version}-py3-none-any.whl"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def own_wheel() -> Wheel:
    """The wheel of the engine that runs here. Raises SettingsError where it can't be made."""
    archive = next((place for place in Path(__file__).parents if place.is_file()), None)
    if archive is not None:  # on the path, not installed
        return Wheel(version=pushline.__version__, content=archive.read_bytes())
    root = checkout()
    return Wheel(version=pushline.__version__, content=pack(built(root) if root else installed()))


def pack(files: dict[str, bytes]) -> bytes:
    """A wheel of these files; what describes it comes last, as installers like it."""
    described = next(name for name in files if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    names = sorted(files, key=lambda name: (name.startswith(described), name))
    record = "".join(f"{name},sha256={digest(files[name])},{len(files[name])}\n" for name in names) + f"{described}/RECORD,,\n"
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name in (*names, f"{described}/RECORD"):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files.get(name, record.encode()))
    return written.getvalue()


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def built(root: Path) -> dict[str, bytes]:
    """The files of a wheel of the engine's repository."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
        ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        found = list(Path(folder).glob("*.whl"))
        if ran.returncode or not found:
            why = f"{(ran.stderr.strip() or 'hatchling said nothing').splitlines()[-1]}."
            raise SettingsError("The engine's wheel can't be built.", why=why, do="Run `make setup`, then the same command again.")
        with zipfile.ZipFile(found[0]) as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def installed() -> dict[str, bytes]:
    """The same files where the wheel was installed, by the installer's own list of them."""
    listed = importlib.metadata.distribution("pushline").files or []
    taken = {}
    for path in listed:
        described = path.parts[0].endswith(".dist-info") and (path.name in DESCRIBED or "licenses" in path.parts)
        if described or (path.parts[0] == "pushline" and path.suffix != ".pyc"):
            taken[path.as_posix()] = Path(str(path.locate())).read_bytes()
    if not any(name.startswith("pushline/template/files/") for name in taken):
        raise SettingsError(
            "The engine's wheel can't be made of this installation.",
            why="It does not hold the template's files.",
            do="Install a wheel: `make wheel` in the engine's repository builds it.",
        )
    return taken


def main() -> None:
    try:
        wheel, folder = own_wheel(), Path(sys.argv[1])
    except SettingsError as error:
        sys.exit(f"error: {error.what}\n{error.why}\n{error.do}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / wheel.name).write_bytes(wheel.content)
    sys.stdout.write(f"{folder / wheel.name}  sha256:{wheel.sha256}\n")


if __name__ == "__main__":
    main()
