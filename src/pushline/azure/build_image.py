"""`make image`: the scoring image of the live release of the local target, from the same context a delivery packs.

Beside it `build/image/Caddyfile`, which `compose.yml` gives to the proxy: the one of the target aci.
"""

import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import click

from pushline.azure.image import arguments_of, context_of, engine_here
from pushline.errors import PushlineError
from pushline.files import write_atomically
from pushline.project import Project
from pushline.release import open_target
from pushline.release.scoring import live_of
from pushline.settings import load_settings

CADDY = Path(__file__).with_name("Caddyfile")
IMAGE = "localhost/pushline-scoring:latest"


def main() -> int:
    project = Project.find()
    engine = engine_here()
    if engine is None:
        click.echo("error: there is no container engine.\nNeither docker nor podman answers.\nInstall one: sudo apt-get install -y podman")
        return 2
    try:
        release = live_of(open_target(project, load_settings(project.root))).release
    except PushlineError as error:
        click.echo(f"error: {error}")
        return error.exit_code
    write_atomically(project.build / "image" / CADDY.name, CADDY.read_bytes())
    options = [part for name, value in arguments_of(release).items() for part in ("--build-arg", f"{name}={value}")]
    options += ["--format", "docker"] if engine == "podman" else []  # podman's own format drops the health check
    with tempfile.TemporaryDirectory(prefix="pushline-image-") as folder:
        with tarfile.open(fileobj=BytesIO(context_of(project, release)), mode="r:gz") as packed:
            packed.extractall(folder, filter="data")
        code = subprocess.run([engine, "build", *options, *sys.argv[1:], "--tag", IMAGE, folder], check=False).returncode
    if code == 0:
        click.echo(f"{IMAGE} answers for {release.id}, model version {release.model_version}.")
    return 4 if code else 0


if __name__ == "__main__":
    sys.exit(main())
