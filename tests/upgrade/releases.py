"""Later releases of the real engine: its wheel with files of its template, a module and the changelog edited."""

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from pushline.template.wheel import Wheel, own_wheel, pack

Edit = Callable[[str], str]


@cache
def first() -> Wheel:
    """The engine of this checkout."""
    return own_wheel()


def release(version: str, edits: Mapping[str, Edit], to: Path, changelog: str = "") -> Path:
    """The wheel of a later version, whose files are the first one's but for `edits`, by their path in the package."""
    wheel = first()
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}
    numbered: dict[str, Edit] = {
        "pushline/__init__.py": lambda text: re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', text),
        "pushline/template/CHANGELOG.md": lambda text: changelog or text,
    }
    for name, edit in {**numbered, **{f"pushline/{name}": edit for name, edit in edits.items()}}.items():
        before = files[name].decode()
        files[name] = edit(before).encode()
        assert changelog == "" or files[name] != before.encode() or not before, f"the edit of {name} changes nothing"
    described = f"pushline-{wheel.version}.dist-info/"
    renamed = {re.sub(rf"^{re.escape(described)}", f"pushline-{version}.dist-info/", name): content for name, content in files.items()}
    metadata = f"pushline-{version}.dist-info/METADATA"
    renamed[metadata] = renamed[metadata].replace(f"\nVersion: {wheel.version}\n".encode(), f"\nVersion: {version}\n".encode())
    to.mkdir(parents=True, exist_ok=True)
    file = to / f"pushline-{version}-py3-none-any.whl"
    file.write_bytes(pack(renamed))
    return file
