"""Build the scoring image of the live release of the local target, from the same context a delivery packs: `make image`."""

import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from pushline.azure.image import context_of, engine_here
from pushline.errors import PushlineError
from pushline.project import Project
from pushline.release import open_target
from pushline.release.scoring import live_of
from pushline.settings import load_settings

IMAGE = "localhost/pushline-scoring:latest"


def main() -> int:
    project = Project.find(Path(__file__).parent)
    engine = engine_here()
    if engine is None:
        print("error: there is no container engine.\nNeither docker nor podman answers here.\nInstall one: sudo apt-get install -y podman")
        return 2
    try:
        release = live_of(open_target(project, load_settings(project.root))).release
    except PushlineError as error:
        print(f"error: {error}")
        return error.exit_code
    named = {"RELEASE": release.id, "MODEL_VERSION": release.model_version, "REVISION": release.git_revision}
    options = [part for name, value in named.items() for part in ("--build-arg", f"{name}={value}")]
    options += ["--format", "docker"] if engine == "podman" else []  # podman's own format drops the health check
    with tempfile.TemporaryDirectory(prefix="pushline-image-") as folder:
        with tarfile.open(fileobj=BytesIO(context_of(project, release)), mode="r:gz") as packed:
            packed.extractall(folder, filter="data")
        code = subprocess.run([engine, "build", *options, *sys.argv[1:], "--tag", IMAGE, folder], check=False).returncode
    if code == 0:
        print(f"{IMAGE} answers for {release.id}, model version {release.model_version}.")
    return 4 if code else 0


if __name__ == "__main__":
    sys.exit(main())
