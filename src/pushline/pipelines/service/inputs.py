"""What a caller may give a run: values of the declared types, and files of the project or its data alone."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from pushline.errors import SettingsError
from pushline.pipelines.runner.binding import text_of
from pushline.pipelines.service.published import Version
from pushline.project import Project
from pushline.results import Scalar
from pushline.settings import seconds


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller asks for: values by the names that the version describes, and a version instead of the default one."""

    inputs: dict[str, str | int | float | bool] = field(default_factory=dict)
    version: Annotated[int, Meta(ge=1)] | None = None


class FolderRule(Struct, frozen=True):
    """Whose key starts runs may not read the whole machine by them: not the keys, nor anybody's home."""

    within: tuple[Path, ...]
    without: tuple[Path, ...]
    outputs: Path  # of runs; they lie in a folder that is left out

    @classmethod
    def of(cls, project: Project, outputs: Path, folder: str) -> "FolderRule":
        data = [Path(place).resolve() for place in (os.environ.get("PUSHLINE_DATA"), folder) if place]
        return cls((project.root, *data), (project.state.resolve(), project.root / ".git"), outputs)

    def allow(self, path: Path) -> bool:
        """Whether the path exists and, its links followed, lies where a caller may read."""
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        if real.is_relative_to(self.outputs):
            return True
        return any(real.is_relative_to(place) for place in self.within) and not any(real.is_relative_to(place) for place in self.without)

    def __str__(self) -> str:
        return f"in {' or '.join(str(place) for place in self.within)}"


def checked_inputs(version: Version, inputs: Mapping[str, Any], folders: FolderRule) -> dict[str, Scalar]:
    """What the caller set, each of its type. Raises SettingsError naming the input and what it accepts."""
    known = {one.name: one for one in version.inputs}
    for name in inputs:
        if name not in known:
            raise SettingsError(
                f"{version.name} has no input {name!r}.", why=f"Its inputs are {', '.join(known) or 'none'}.", do="Name one of them."
            )
    given: dict[str, Scalar] = {}
    for name, one in known.items():
        if name not in inputs:
            if one.required:
                raise SettingsError(f"The input {name} is missing.", why=one.description, do=f"Set {name}.")
            continue
        value, spec = inputs[name], one.spec()
        if not isinstance(value, str | int | float | bool):
            raise SettingsError(f"The input {name} is wrong.", why="It is no single value.", do="Give a text, a number, true or false.")
        if spec.is_path:
            if not isinstance(value, str) or "\0" in value or not Path(value).is_absolute() or not folders.allow(Path(value)):
                raise SettingsError(
                    f"The input {name} is wrong.",
                    why=f"{value!r} is no existing absolute path that a caller may name.",
                    do=f"Name a file {folders}.",
                )
            given[name] = value
        else:
            text_of(spec, value, name)
            given[name] = value
            if name == "budget":
                seconds(str(value))
    return given
