"""Makes the locks under requirements/: one consistent set, hashes, no index address.

dev.txt is resolved first and holds everything; the others are resolved within it, so that a version is the same wherever it appears.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = [
    "uv",
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--python-version",
    "3.11",
    "--no-emit-index-url",
    "--no-annotate",
    "--no-header",
    "--fork-strategy",
    "fewest",  # one version of a package on every Python, so that no figure and no type depends on which one it is
]
# The roles that `make setup ROLE=…` knows beside dev; `steps` is what a training computes with, here and on Azure's nodes.
EXTRAS = {
    "serve": [],
    "steps": ["train"],
    "release": ["release", "azure"],
    "train": ["train", "azure", "sbom"],
    "checks": ["train", "azure", "checks"],
}


def compile_lock(name: str, source: str, *options: str) -> None:
    subprocess.run([*COMPILE, source, *options, "--output-file", f"requirements/{name}.txt"], cwd=ROOT, check=True)


def main() -> int:
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv else []
    compile_lock("dev", "pyproject.toml", "--all-extras", *upgrade)
    for name, extras in EXTRAS.items():
        compile_lock(name, "pyproject.toml", *(f"--extra={extra}" for extra in extras), "--constraint", "requirements/dev.txt")
    compile_lock("notebook", "requirements/notebook.in", "--constraint", "requirements/dev.txt", *upgrade)  # is added to dev
    for name in ("uv", "batch"):  # each in an environment of its own
        compile_lock(name, f"requirements/{name}.in", *upgrade)
    return 0


if __name__ == "__main__":
    sys.exit(main())
