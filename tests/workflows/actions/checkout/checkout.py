"""Clones $TEST_ORIGIN at the run's commit into the workspace, with a `.venv` that holds the locked packages and the clone's own code.

As it is the first step of every job, it also gives the job the identity that GitHub would: none without the right to ask for one.
"""

import json
import os
import shlex
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import yaml

OF_ITS_ENVIRONMENT = "of-its-environment"  # a variable's value that differs from environment to environment


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def main() -> int:
    if os.environ["PERSIST"] != "false":
        print("::error::persist-credentials must be false")
        return 1
    depth = ["--depth", os.environ["DEPTH"]] if os.environ["DEPTH"] != "0" else []
    git("init", "-q", "-b", "main", ".")
    git("remote", "add", "origin", f"file://{os.environ['TEST_ORIGIN']}")
    wanted = os.environ["REF"] or os.environ["TEST_SHA"]
    git("fetch", "-q", *depth, "origin", wanted, *([] if depth else ["+refs/heads/*:refs/remotes/origin/*"]))
    git("checkout", "-q", "--detach", wanted if wanted == os.environ["TEST_SHA"] else "FETCH_HEAD")
    install()
    give_identity()
    return 0


def give_identity() -> None:
    """What a job with `id-token: write` gets, by the environment it runs in; and the values that its environment has for it."""
    job = job_of(Path(".github/workflows", os.environ["TEST_WORKFLOW"]), os.environ["GITHUB_JOB"])
    asked = str(job.get("environment", ""))
    on_azure = os.environ.get("PUSHLINE_TARGET", "local") != "local"
    named = asked if "${{" not in asked else "training" if on_azure and "'training'" in asked else ""
    given = json.loads(os.environ["TEST_IDENTITIES"]).get(named, {})
    may_ask = job["permissions"].get("id-token") == "write"
    with Path(os.environ["GITHUB_ENV"]).open("a", encoding="utf-8") as stream:
        for name, value in given.items():
            if may_ask if name.startswith("ACTIONS_ID_TOKEN_") else os.environ.get(name) == OF_ITS_ENVIRONMENT:
                stream.write(f"{name}={value}\n")


def job_of(workflow: Path, name: str) -> dict[str, Any]:
    """The job with this name, in the workflow or in one that it calls."""
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    if "steps" in jobs.get(name, {}):
        return jobs[name]
    (called,) = (Path(job["uses"]) for job in jobs.values() if "uses" in job)
    return job_of(called, name)


def install() -> None:
    """The set-up venv of the test session, seen from the clone: its packages, this code."""
    real = Path(sys.prefix)
    venv.EnvBuilder(symlinks=True).create(".venv")
    packages = next(Path(".venv/lib").glob("python*/site-packages"))
    installed = next(real.glob("lib/python*/site-packages"))
    for wheel in Path("vendor").glob("*.whl"):  # a small repository's engine
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    (packages / "clone.pth").write_text(f"{Path('src').resolve()}\n{installed}\n", encoding="utf-8")
    places = Path(".venv/bin").resolve()
    for script in (real / "bin").iterdir():
        if not script.name.startswith(("python", "activate", "pushline")) and not (places / script.name).exists():
            (places / script.name).symlink_to(script)
    own = places / "pushline"
    own.write_text(warm_script(places) or f"#!{places / 'python'}\nfrom pushline.cli import main\nmain()\n", encoding="utf-8")
    own.chmod(0o755)
    Path(".venv/.done").touch()


def warm_script(places: Path) -> str:
    """`pushline` as a fork of the tests' warm process, where the clone's code is what that has loaded; empty for a cold job."""
    warm = os.environ["TEST_WARM"]
    if Path("vendor").is_dir() or os.environ["GITHUB_JOB"] in os.environ["TEST_COLD"].split():
        return ""
    client = Path(__file__).resolve().parents[3] / "ask_warm.py"
    words = [
        sys.executable,
        "-I",
        "-S",
        client,
        f"{warm}/socket",
        f"{warm}/python",
        places / "python",
        Path("src/pushline").resolve(),
        "pushline",
    ]
    return f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n'


if __name__ == "__main__":
    sys.exit(main())
