"""Published pipelines: immutable, numbered snapshots that others start, whatever becomes of the checkout.

Below `.pushline/pipelines/versions/<name>/<number>/` a version holds its part of the checkout (`files/`: the pipeline and
its components, the code, the contract with profile and rules, the settings, the data lock, the package lock) and
`version.json`. What may change lies beside the numbers in `index.json`: the default version, and which are retired.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from pushline.engine import code_of
from pushline.errors import SettingsError, TargetError
from pushline.files import cannot_write, content_hash, move, scratch, tidy, with_unknown, write_atomically, write_json
from pushline.locks import locked
from pushline.pipelines.runner.definition import DataInput, InputSpec, Pipeline, load_pipeline
from pushline.project import Project
from pushline.results import Scalar

VERSIONS = "pipelines/versions"  # below .pushline
PUBLISHING = "publishing"  # beside the numbers: the one that is about to be the default
WAIT_S = 60.0
TAKEN = ("data_checks", "pyproject.toml", "data.lock", "requirements/steps.txt", "requirements/training.Dockerfile", "README.md")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".*")
# What a run works out itself: where its data and code come from.
COMPUTED = frozenset({"data_version", "git_revision", "generated_sample", "model_version"})
T = TypeVar("T")
NAME = r"^[a-z][a-z0-9-]{0,60}$"


class PublishedInput(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may be set when a version is started."""

    name: str
    type: str
    description: str = ""
    required: bool = False
    default: Scalar | UnsetType = UNSET
    min: float | None = None
    max: float | None = None
    enum: tuple[Scalar, ...] | None = None

    def spec(self) -> InputSpec:
        kind: Any = self.type
        return InputSpec(type=kind, min=self.min, max=self.max, enum=self.enum)


class Version(Struct, frozen=True, kw_only=True):
    """One published version."""

    name: Annotated[str, Meta(pattern=NAME)]
    version: int
    description: str
    inputs: tuple[PublishedInput, ...]
    outputs: tuple[str, ...]
    made_at: datetime
    git_revision: str
    content: str  # sha256 of `files/`
    status: Literal["active", "retired"] = "active"  # as the index says; the file itself always says active
    default: bool = False


class Index(Struct, frozen=True, kw_only=True):
    """What may change about the versions of one pipeline."""

    default: int
    retired: tuple[int, ...] = field(default_factory=tuple)


class PublishedPipelines:
    """All versions of one project."""

    def __init__(self, project: Project, defaults: Mapping[str, Scalar] | None = None) -> None:
        """`defaults`: what the settings say, which goes before a literal of a pipeline file."""
        self.project = project
        self.defaults = defaults or {}
        self.place = project.state.resolve() / VERSIONS

    def folder(self, name: str, version: int) -> Path:
        return self.place / name / str(version)

    def files(self, version: Version) -> Path:
        """The snapshot of a version. Raises TargetError where it is not what was published."""
        files = self.folder(version.name, version.version) / "files"
        if not files.is_dir() or content_hash(files) != version.content:
            raise TargetError(
                f"Version {version.version} of {version.name} is not what was published.",
                why=f"{files} was changed or is gone.",
                do=f"Publish it again with `pushline publish {version.name}`, or start another version.",
            )
        return files

    def publish(self, name: str) -> tuple[Version, bool]:
        """Make the next version of `pipelines/<name>.yml` and the default of it; False where the newest already holds the same.

        Raises SettingsError where there is no such pipeline or it can't run.
        """
        file = self.project.pipelines / f"{name}.yml"
        if not re.fullmatch(NAME, name) or not file.is_file():
            known = ", ".join(sorted(found.stem for found in self.project.pipelines.glob("*.yml")))
            raise SettingsError(f"There is no pipeline {name!r}.", why=f"pipelines/ holds {known or 'none'}.", do="Name one of them.")
        pipeline = load_pipeline(file)
        with self._alone(name) as place, scratch(place / "version") as half:
            try:
                return self._made(name, pipeline, place, half)
            except OSError as error:
                raise cannot_write(place, error) from error

    def _made(self, name: str, pipeline: Pipeline, place: Path, half: Path) -> tuple[Version, bool]:
        take_files(self.project, pipeline, half / "files")
        content = content_hash(half / "files")
        known = self._numbers(name)
        if known and self._read(name, known[-1]).content == content:
            return self.version(name, known[-1]), False
        made = Version(
            name=name,
            version=known[-1] + 1 if known else 1,
            description=pipeline.description,
            inputs=inputs_of(pipeline, self.project, self.defaults),
            outputs=tuple(pipeline.outputs),
            made_at=datetime.now(UTC),
            git_revision=self.project.git_revision,
            content=content,
        )
        write_json(half / "version.json", made)
        for path in half.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        write_atomically(place / PUBLISHING, str(made.version).encode())
        move(half, self.folder(name, made.version))
        self._finish(name)
        return self.version(name, made.version), True

    def _finish(self, name: str) -> None:
        """Make the version the default that was being published, also where that command was killed before it could."""
        note = self.place / name / PUBLISHING
        if note.is_file():
            number = int(note.read_bytes())
            if number in self._numbers(name):
                self._write_index(name, default=number)
            note.unlink()

    def _write_index(self, name: str, *, default: int | None = None, retire: int | None = None) -> None:
        """Change the index; what another version of Pushline keeps in it stays."""
        file, index = self.place / name / "index.json", self._index(name)
        retired = {*(index.retired if index else ()), *([retire] if retire else [])}
        now = Index(default=default or (index.default if index else 0), retired=tuple(sorted(retired)))
        write_json(file, with_unknown(msgspec.to_builtins(now), msgspec.json.decode(file.read_bytes()) if index else {}))

    def all(self) -> tuple[Version, ...]:
        """Every version of every pipeline, by name, newest first."""
        names = sorted(path.name for path in self.place.iterdir() if path.is_dir()) if self.place.is_dir() else []
        return tuple(version for name in names for version in self.versions(name))

    def versions(self, name: str) -> tuple[Version, ...]:
        """The versions of one pipeline, newest first."""
        return tuple(self.version(name, number) for number in reversed(self._numbers(name)))

    def version(self, name: str, number: int | None = None) -> Version:
        """A version, by default the default one. Raises SettingsError where there is none."""
        known, index = self._numbers(name), self._index(name)
        wanted = number if number is not None else index.default if index else None
        if wanted is None or wanted not in known:
            what = f"There is no published pipeline {name!r}." if not known else f"There is no version {wanted} of {name}."
            names = ", ".join(sorted({version.name for version in self.all()} if not known else {str(n) for n in known}))
            raise SettingsError(
                what, why=f"There is {names}." if names else "None is published.", do=f"Publish with `pushline publish {name}`."
            )
        return msgspec.structs.replace(
            self._read(name, wanted),
            status="retired" if index and wanted in index.retired else "active",
            default=bool(index and index.default == wanted),
        )

    def make_default(self, name: str, number: int) -> Version:
        """Start this version from now on where none is named: forwards, or back to an older one."""
        version = self.version(name, number)
        if version.status == "retired":
            raise SettingsError(f"Version {number} of {name} is retired.", do="Make another one the default.")
        with self._alone(name):
            self._write_index(name, default=number)
        return self.version(name, number)

    def retire(self, name: str, number: int) -> Version:
        """Start this version no more. Raises SettingsError for the default one."""
        version = self.version(name, number)
        if version.default:
            raise SettingsError(
                f"Version {number} of {name} is the default.",
                why="A retired version can't be started.",
                do=f"Make another one the default first: `pushline pipelines default {name} N`.",
            )
        with self._alone(name):
            self._write_index(name, retire=number)
        return self.version(name, number)

    @contextmanager
    def _alone(self, name: str) -> Iterator[Path]:
        place = self.place / name
        with locked(place / ".lock", wait_s=WAIT_S):
            tidy(place)
            self._finish(name)
            yield place

    def _numbers(self, name: str) -> list[int]:
        place = self.place / name
        if not re.fullmatch(NAME, name):
            return []
        return sorted(int(path.name) for path in place.iterdir() if path.name.isdigit()) if place.is_dir() else []

    def _index(self, name: str) -> Index | None:
        file = self.place / name / "index.json"
        return decode(file, Index) if file.is_file() else None

    def _read(self, name: str, number: int) -> Version:
        return decode(self.folder(name, number) / "version.json", Version)


def decode(file: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise TargetError(f"{file} can't be read.", why=f"{error}.", do="Restore it, or publish the pipeline again.") from error


def take_files(project: Project, pipeline: Pipeline, files: Path) -> None:
    """Copy what a run of the pipeline needs of the checkout, each file where it is there.

    Raises SettingsError for a component or its code outside of the checkout.
    """
    wanted = [code_of(project.root), *(project.root / name for name in TAKEN)]
    wanted += [pipeline.file, *(job.component.file for job in pipeline.jobs.values())]
    wanted += [job.component.folder for job in pipeline.jobs.values() if job.component.folder is not None]
    automl = pipeline.file.parent / "components" / "automl.yml"
    for path in dict.fromkeys([*wanted, *([automl] if automl.is_file() else [])]):
        if not path.is_relative_to(project.root):
            raise SettingsError(
                f"{path} can't be published.",
                why=f"It lies outside of {project.root}.",
                do="Put what the pipeline runs into the repository.",
            )
        to = files / path.relative_to(project.root)
        if path.is_dir():
            shutil.copytree(path, to, ignore=LEFT_OUT, dirs_exist_ok=True)
        elif path.is_file():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)


def inputs_of(pipeline: Pipeline, project: Project, defaults: Mapping[str, Scalar]) -> tuple[PublishedInput, ...]:
    """What a caller may set: all values, and data that is not part of the version itself.

    Data that check-data makes may be left out: it is made from the pinned data then. So may a model: the champion's is taken.
    """
    made = []
    for name, value in pipeline.inputs.items():
        spec = pipeline.spec_of(name)
        description = spec.description if spec else ""
        if name in COMPUTED:
            continue
        if isinstance(value, DataInput):
            if value.path is None or not any(value.path.is_relative_to(project.root / taken) for taken in TAKEN):
                checked, model = from_check_data(value, project), value.type == "mlflow_model"
                described = f"{description}; by default the checked data that data.lock pins" if checked else description
                made.append(PublishedInput(name=name, type=value.type, description=described, required=not checked and not model))
        elif spec is not None:
            said = {field: getattr(spec, field) for field in ("type", "description", "min", "max", "enum")}
            made.append(PublishedInput(name=name, default=defaults.get(name, value), **said))
    return tuple(made)


def from_check_data(value: DataInput, project: Project) -> bool:
    """True where the pipeline file names what check-data leaves."""
    return value.path is not None and value.path == project.build / "check-data"
