"""A container engine of the tests' own, a stand-in for the base image, and the scoring image built on it for real.

The stand-in is Debian with its own Python, made from packages, for no image can be fetched everywhere. It proves the Dockerfile, the
user, the health check, signals, limits and layers; it does not prove the real base image.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from models_made import make_model, release_of
from pushline.azure.image import context_of
from pushline.project import Project
from pushline.results import Release
from signed import trust

NEEDED = ("podman", "runc", "mmdebstrap")
BASE = "localhost/pushline-base:trixie"
STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{0}/store"\nrunroot = "{0}/run"\n'
CONTAINERS = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""


class Engine:
    """podman with settings and a store of its own, so that nothing of the machine's is touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        (folder / "storage.conf").write_text(STORAGE.format(folder))
        (folder / "containers.conf").write_text(CONTAINERS)

    def run(self, *arguments: str, timeout_s: float = 280, check: bool = True) -> str:
        """What podman prints. The folder it is called from is scratch: it may drop files there."""
        done = subprocess.run(
            ["podman", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode == 0 or not check, f"podman {' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("inspect", name))[0]
        return found


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    absent = [tool for tool in NEEDED if shutil.which(tool) is None]
    if absent:
        pytest.skip(f"no {', '.join(absent)} on this machine: run scripts/container-tools")
    if os.geteuid() != 0:
        pytest.skip("making the stand-in base image needs root")
    folder = tmp_path_factory.mktemp("engine")
    found = Engine(folder)
    yield found
    found.run("system", "reset", "--force", check=False)
    subprocess.run(["umount", "--lazy", str(folder / "store" / "overlay")], capture_output=True, check=False)  # the engine's own mount


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """Debian's own Python as the base image."""
    packages = "ca-certificates,netbase,python3,python3-venv,python3-pip"
    after = 'ln -s /usr/bin/python3 "$1"/usr/local/bin/python; ln -s /usr/bin/pip3 "$1"/usr/local/bin/pip'
    after += '; rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED'
    unwanted = [f"--dpkgopt=path-exclude=/usr/share/{place}/*" for place in ("man", "doc", "locale")]
    command = ["mmdebstrap", "-q", "--variant=minbase", "--mode=root", f"--include={packages}", '--aptopt=Apt::Install-Recommends "false"']
    command += [*unwanted, f"--customize-hook={after}", "trixie"]
    name = hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]
    archive = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pushline-tests" / f"base-{name}.tar"
    if not archive.is_file():  # made once a machine: it takes longer than the image
        archive.parent.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(f".{os.getpid()}.tar")
        made = subprocess.run([*command, str(partial)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            partial.unlink(missing_ok=True)
            pytest.skip(f"the stand-in base image can't be made: {made.stderr.strip().splitlines()[-1:]}")
        partial.rename(archive)
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    engine.run("import", "--quiet", "--change", f"ENV {path}", "--change", 'CMD ["python3"]', str(archive), BASE)
    return BASE


@pytest.fixture(scope="session")
def release(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    return release_of(make_model(Project(repo), tmp_path_factory.mktemp("model") / "model", seed=3), 3)


@pytest.fixture(scope="session")
def context(repo: Path, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build context as a delivery packs it."""
    folder = tmp_path_factory.mktemp("context")
    with tarfile.open(fileobj=BytesIO(context_of(Project(repo), release)), mode="r:gz") as packed:
        packed.extractall(folder, filter="data")
    trust(folder / "signers")
    return folder


@pytest.fixture(scope="session")
def wheels(repo: Path, engine: Engine, base: str) -> Path:
    """The locked packages as files, so that the build needs no network and pip no settings of this machine."""
    folder = engine.folder / "wheels"
    version = engine.run("run", "--rm", "--network", "none", base, "python", "-c", "import platform; print(platform.python_version())")
    number = "".join(version.split(".")[:2])
    kinds = ["--implementation", "cp", "--abi", f"cp{number}", "--abi", "abi3", "--abi", "none", "--python-version", number]
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"):
        kinds += ["--platform", platform]
    wanted = engine.folder / "wanted.txt"
    wanted.write_text(locked_for((repo / "requirements" / "serve.txt").read_text(), version))
    locked = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(wanted)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *kinds, *locked, "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return folder


def locked_for(lock: str, python: str) -> str:
    """The part of a universal lock that another Python takes: pip judges its conditions by the Python it runs on itself."""
    from packaging.markers import Marker

    kept = []
    for block in re.split(r"\n(?=\S)", lock):
        condition = re.search(r";\s*(.+?)\s*\\?$", block.splitlines()[0] if block else "")
        names = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python}
        if condition is None or Marker(condition[1]).evaluate(names):
            kept.append(re.sub(r"\s*;.+?(\s*\\?)$", r"\1", block, count=1, flags=re.MULTILINE))
    return "\n".join(kept) + "\n"


class Builder:
    """Builds the image from its context."""

    def __init__(self, engine: Engine, base: str, context: Path, wheels: Path) -> None:
        self.engine, self.base, self.context = engine, base, context
        settings = engine.folder / "pip.conf"
        settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        self.mounts = ["-v", f"{wheels}:/wheels:ro", "-v", f"{settings}:/etc/pip.conf:ro"]

    def build(self, tag: str, *options: str) -> str:
        how = ["--pull=never", "--network", "none", "--format", "docker", "--layers", "--timestamp", "0"]
        self.engine.run("build", "--quiet", *how, *self.mounts, "--build-arg", f"BASE={self.base}", *options, "-t", tag, str(self.context))
        return tag


@pytest.fixture(scope="session")
def builder(engine: Engine, base: str, context: Path, wheels: Path) -> Builder:
    return Builder(engine, base, context, wheels)


@pytest.fixture(scope="session")
def image(builder: Builder, release: Release) -> str:
    names = [
        "--build-arg",
        f"RELEASE={release.id}",
        "--build-arg",
        f"MODEL_VERSION={release.model_version}",
        "--build-arg",
        "REVISION=abc123",
    ]
    return builder.build("localhost/pushline-scoring:test", *names)
