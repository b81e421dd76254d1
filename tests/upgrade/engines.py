"""Small engines as wheels: a template of a dozen files each, and repositories that were made from one."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pushline.files import sha256_of
from pushline.project import Project
from working_copy import git

FAKE_GH = Path(__file__).parents[1] / "github" / "fake_gh.py"
TEMPLATE = """\
import hashlib, json, os, sys
from pathlib import Path

wheel = next(place for place in Path(__file__).parents if place.is_file())
assert "GH_TOKEN" not in os.environ
record, to = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
engine = {**record["engine"], "version": wheel.name.split("-")[1], "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
files = {path: text.encode("latin-1") for path, text in json.loads(FILES).items()}
files["template.json"] = (json.dumps({**record, "engine": engine}, indent=1) + "\\n").encode()
for path, content in files.items():
    content = content.replace(b"{name}", record["answers"]["name"].encode())
    content = content.replace(b"{version}", engine["version"].encode()).replace(b"{sha256}", engine["sha256"].encode())
    (to / path).parent.mkdir(parents=True, exist_ok=True)
    (to / path).write_bytes(content)
if engine["source"] == "vendor":
    (to / "vendor").mkdir()
    (to / "vendor" / wheel.name).write_bytes(wheel.read_bytes())
"""
CONTRACT = """\
name: {name}
title: Parcels
positive: late

columns:
  - name: weight
    type: number
    severity: warning
    minimum: 0
    maximum: 30
    example: 2.5
  - name: distance
    type: integer
    severity: warning
    minimum: 1
    maximum: 900
    example: 120
  - name: arrived
    type: string
    role: label
    allowed: [late, punctual]
"""
PYPROJECT = """\
[project]
name = "{name}"
dependencies = ["pushline[train]=={version}"]  # the engine

[tool.pushline]
target = "local"
model_name = "{name}"

[tool.pushline.load]
rate = 50      # requests/s
seconds = 10
p99_ms = 250   # what users were promised

[tool.ruff]
line-length = 140
"""
LOCK = {"click==8.2.0": "aa", "pushline=={version}": "{sha256}", "zope==1.0": "bb"}
FILES = {
    ".gitignore": "/build/\n/.pushline/\n",
    ".github/workflows/deliver.yml": "name: deliver\n\non:\n  push:\n\njobs:\n  train:\n    steps:\n      - run: pushline train\n\n"
    "  release:\n    steps:\n      - run: pushline deploy\n      - run: pushline promote\n",
    "Makefile": "run:\n\tpushline run\n\ntest:\n\tpytest\n",
    "README.md": "# {name}\n\nFrom a table to a service.\n\n## Two commands\n\n`make run` and `make test`.\n\n## More\n\nThe end.\n",
    "data_checks/contract.yml": CONTRACT,
    "data_checks/rules.py": "from pushline.data.rules import Rule\n\nRULES: list[Rule] = []\n",
    "load/profile.py": "".join(f"STEP_{number} = {number}\n" for number in range(20)),
    "notebooks/picture.png": "\x89PNG\r\n\x00\x01",
    "pyproject.toml": PYPROJECT,
    "requirements/dev.txt": "".join(f"{pin} \\\n    --hash=sha256:{sha256}\n" for pin, sha256 in LOCK.items()),
}


def engine(folder: Path, version: str, changes: dict[str, str | None] | None = None, changelog: str = "") -> Path:
    """The wheel of a version whose template has `changes` beside FILES; None for a file that it has no more."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {path: text for path, text in {**FILES, **(changes or {})}.items() if text is not None}
    wheel = folder / f"pushline-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("pushline/__init__.py", "pushline/template/__init__.py"):
            archive.writestr(name, "")
        archive.writestr("pushline/template/__main__.py", f"FILES = {json.dumps(files)!r}\n{TEMPLATE}")
        archive.writestr("pushline/template/CHANGELOG.md", changelog)
        for name, text in (("METADATA", f"Metadata-Version: 2.1\nName: pushline\nVersion: {version}\n"), ("WHEEL", "Wheel-Version: 1.0\n")):
            archive.writestr(f"pushline-{version}.dist-info/{name}", text)
    return wheel


@dataclass(frozen=True)
class Owned:
    """A repository that its owner made from an engine."""

    project: Project

    def read(self, path: str) -> str:
        return (self.project.root / path).read_text(encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        """Change a file, and commit that."""
        place = self.project.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        self.commit()

    def replace(self, path: str, before: str, after: str) -> None:
        text = self.read(path)
        assert text.count(before) == 1, (path, before)
        self.write(path, text.replace(before, after))

    def commit(self) -> None:
        git("add", "-A", cwd=self.project.root)
        git("commit", "-q", "-m", "Change", cwd=self.project.root)

    def tree(self) -> dict[str, bytes]:
        """Every file but git's and what a command leaves."""
        root = self.project.root
        files = (file for file in sorted(root.rglob("*")) if file.is_file())
        names = {file.relative_to(root).as_posix(): file for file in files}
        return {name: file.read_bytes() for name, file in names.items() if not name.startswith((".git/", ".pushline/", "build/"))}

    def status(self) -> str:
        ran = subprocess.run(["git", "status", "--porcelain"], cwd=self.project.root, capture_output=True, text=True, check=True)
        return ran.stdout


def gh_in(folder: Path, *files: Path, tag: str = "v0.2.0") -> dict[str, str]:
    """The variables under which a stand-in for `gh` knows one release with these files, and no pull request."""
    (folder / "bin").mkdir(parents=True)
    script, state = folder / "bin" / "gh", folder / "gh.json"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE_GH}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    release = {"tag_name": tag, "files": [str(file) for file in files]}
    known = {"repository": "example/pushline", "private": False, "calls": [], "releases": [release]}
    state.write_text(json.dumps(known), encoding="utf-8")
    return {"PATH": f"{script.parent}:{os.environ['PATH']}", "FAKE_GH": str(state), "GITHUB_REPOSITORY": "example/pushline"}


def rendered(wheel: Path, to: Path, *, name: str = "parcels", source: str = "vendor", **more: str) -> Path:
    """The untouched repository of an engine, as its own template writes it."""
    to.mkdir(parents=True, exist_ok=True)
    recorded = {"version": wheel.name.split("-")[1], "sha256": sha256_of(wheel), "source": source, **more}
    answers = to.with_name(f"{to.name}.json")
    answers.write_text(json.dumps({"schema": 1, "engine": recorded, "answers": {"name": name}}), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "pushline.template", str(answers), str(to)]
    subprocess.run(command, cwd=to, env={"PYTHONPATH": str(wheel)}, check=True)
    return to


def owned(wheel: Path, to: Path, **how: str) -> Owned:
    """The same as a repository with a commit."""
    rendered(wheel, to, **how)
    git("init", "-q", cwd=to)
    made = Owned(Project(to))
    for key, value in (("user.name", "Owner"), ("user.email", "owner@example.invalid")):
        git("config", key, value, cwd=to)
    made.commit()
    return made
