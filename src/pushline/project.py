"""Where the files of a repository made from this template are."""

import os
import subprocess
from functools import cached_property
from pathlib import Path

from pushline.errors import SettingsError

REVISION = ".revision"  # in a published snapshot: the commit it was taken from


class Project:
    """One checkout: the folder that holds `pyproject.toml` with `[tool.pushline]`."""

    def __init__(self, root: Path, build: Path | None = None) -> None:
        self.root = root.resolve()
        self.build = build or self.root / "build"  # what the stages of the newest run left: one folder each

    @classmethod
    def find(cls, start: Path | None = None) -> "Project":
        """The project that `start` (by default the working folder) lies in.

        Raises SettingsError where no folder above it is one.
        """
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "data_checks").is_dir() and (folder / "pyproject.toml").is_file():
                return cls(folder)
        raise SettingsError(
            f"{here} is not inside a Pushline repository.",
            why="No folder from here upwards holds both pyproject.toml and data_checks/.",
            do="Change to the repository's folder, or name one with `pushline --project FOLDER`.",
        )

    def beside(self, build: Path) -> "Project":
        """The same project with a build folder of its own, so that a look at other data leaves the stages' results alone."""
        return Project(self.root, build)

    @property
    def state(self) -> Path:
        """What outlives a run on this machine: registry, releases, keys, logs, caches."""
        return self.root / ".pushline"

    @property
    def contract(self) -> Path:
        return self.root / "data_checks" / "contract.yml"

    @property
    def rules(self) -> Path:
        return self.root / "data_checks" / "rules.py"

    @property
    def profile(self) -> Path:
        return self.root / "data_checks" / "profile.json"

    @property
    def signers(self) -> Path:
        """Who may sign a model: see `signing/signers.py`."""
        return self.root / "signers"

    @property
    def data_lock(self) -> Path:
        return self.root / "data.lock"

    @property
    def pipelines(self) -> Path:
        return self.root / "pipelines"

    @cached_property
    def git_revision(self) -> str:
        """The commit of the checkout, with `-dirty` behind it where files differ; `unknown` outside git."""
        recorded = self.root / REVISION
        if recorded.is_file():
            return recorded.read_text(encoding="utf-8").strip() or "unknown"
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        try:
            asked = subprocess.run(
                ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
                cwd=self.root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return "unknown"
        return asked.stdout.strip() if asked.returncode == 0 and asked.stdout.strip() else "unknown"
