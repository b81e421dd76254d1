"""The scoring image: its build context as an archive whose bytes depend on its content alone, built where an engine is."""

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from functools import partial
from pathlib import Path

from pushline.azure.container_registry import ContainerRegistry
from pushline.engine import code_of
from pushline.errors import SettingsError, TargetError
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Release

REPOSITORY = "pushline-scoring"
CONTEXT = ("Dockerfile", ".dockerignore", "requirements/serve.txt", "signers")
LEFT_OUT = {"__pycache__", ".DS_Store"}
LOGIN = "00000000-0000-0000-0000-000000000000"  # what the registry wants as the name behind a token
ENGINES = ("docker", "podman")
ENGINE_S = 1800


def scoring_image(project: Project, release: Release, registry: ContainerRegistry, builder: str, progress: Progress) -> str:
    """`server/repository@digest` of the image with the release's model in it; an unchanged one is not built again."""
    archive, arguments = context_of(project, release), arguments_of(release)
    tag = hashlib.sha256(archive + repr(sorted(arguments.items())).encode()).hexdigest()[:32]
    digest = registry.digest_of(REPOSITORY, tag)
    if digest is None:
        engine = engine_for(builder)
        progress(f"Building the image of {release.id} with {engine or 'the tasks of ' + registry.server}.")
        build = registry.build if engine is None else partial(built_here, registry, engine)
        digest = build(archive, arguments, REPOSITORY, tag)
    return f"{registry.server}/{REPOSITORY}@{digest}"


def context_of(project: Project, release: Release) -> bytes:
    """The build context as tar.gz: what the Dockerfile needs, and the model folder as `model/`."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name in CONTEXT:
            for file in files_in(project.root / name):
                add(archive, file, file.relative_to(project.root).as_posix())
        code = code_of(project.root)
        for file in files_in(code):
            add(archive, file, f"src/{file.relative_to(code).as_posix()}")
        model = Path(release.model)
        for file in files_in(model):
            add(archive, file, f"model/{file.relative_to(model).as_posix()}")
    return packed.getvalue()


def arguments_of(release: Release) -> dict[str, str]:
    """What the Dockerfile is told: the names that the image carries."""
    names = {"RELEASE": release.id, "MODEL_VERSION": release.model_version, "REVISION": release.git_revision}
    return {"MODEL": "model", **names, "MANIFEST": release.manifest or ""}


def files_in(place: Path) -> list[Path]:
    """The file itself, or a folder's files in a fixed order."""
    if place.is_file():
        return [place]
    return [file for file in sorted(place.rglob("*")) if file.is_file() and not LEFT_OUT.intersection(file.parts)]


def add(archive: tarfile.TarFile, file: Path, name: str) -> None:
    add_bytes(archive, file.read_bytes(), name)


def add_bytes(archive: tarfile.TarFile, content: bytes, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o644, 0
    archive.addfile(entry, io.BytesIO(content))


def engine_for(builder: str) -> str | None:
    """The engine that builds here, or None where the registry's own tasks do. Raises SettingsError where one must and none answers."""
    engine = engine_here() if builder in ("auto", "docker") else None
    if builder == "docker" and engine is None:
        raise SettingsError(
            "There is no container engine to build the image with.",
            why='image_builder = "docker" wants docker or podman, and neither answers here.',
            do='Start one, or set image_builder = "acr" in [tool.pushline.azure].',
        )
    return engine


def engine_here() -> str | None:
    """A Docker-compatible engine that answers, or None."""
    for engine in ENGINES:
        if shutil.which(engine) is None:
            continue
        try:
            asked = subprocess.run([engine, "info"], capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if asked.returncode == 0:
            return engine
    return None


def built_here(registry: ContainerRegistry, engine: str, archive: bytes, arguments: dict[str, str], repository: str, tag: str) -> str:
    """Build and push with an engine of this machine; the digest is the registry's."""
    image = f"{registry.server}/{repository}:{tag}"
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
            packed.extractall(folder, filter="data")
        said = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        run([engine, "build", "--platform", "linux/amd64", *said, "--tag", image, folder], "build the image")
    password = registry.refresh_token().encode()
    run([engine, "login", registry.server, "--username", LOGIN, "--password-stdin"], "sign in to the registry", password)
    run([engine, "push", image], "push the image")
    digest = registry.digest_of(repository, tag)
    if digest is None:
        raise TargetError(f"{registry.server} does not know the image that was pushed.", do="Run the same command again.")
    return digest


def run(command: list[str], what: str, given: bytes | None = None) -> None:
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=ENGINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"{command[0]} could not {what}.", why=str(error)) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        raise TargetError(f"{command[0]} could not {what}.", why=" | ".join(lines[-3:]), do="Correct what it names, then run again.")
