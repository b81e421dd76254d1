"""`pushline new`: a small repository of one's own, from nothing but the engine."""

import shutil
import subprocess
from pathlib import Path

from pushline.adopt.draft import AdoptRequest
from pushline.adopt.journal import folder_of
from pushline.adopt.plan import Plan, carry_out, plan_adoption, refuse_deciding
from pushline.errors import SettingsError
from pushline.files import scratch, whole_folder
from pushline.project import Project
from pushline.template.answers import Engine, EngineSource, Record
from pushline.template.render import render
from pushline.template.wheel import own_wheel


def new_repository(folder: Path, request: AdoptRequest | None, *, in_git: bool, engine: EngineSource) -> Plan | None:
    """Make it in `folder`, whole or not at all, for the wished table or as the example is; the table's plan.

    Raises SettingsError where something is in `folder`, and what adopting a table raises.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(
            f"{folder} is not empty.", why="A new repository is made in a folder of its own.", do="Name a folder that does not exist yet."
        )
    files = render(Record(engine=Engine(version="", sha256="", source=engine)), own_wheel())
    with whole_folder(folder) as half:
        for path, content in files.items():
            (half / path).parent.mkdir(parents=True, exist_ok=True)
            (half / path).write_bytes(content)
        half.chmod(0o755)
        git(half, "init", "--quiet", "--initial-branch", "main")
        return turned(Project(half), request, in_git=in_git) if request else None


def turned(project: Project, request: AdoptRequest, *, in_git: bool) -> Plan:
    with scratch(project.state / "adopt-scratch") as place:
        plan = plan_adoption(project, request, in_git=in_git, scratch=place)
        refuse_deciding(plan)
        carry_out(project, plan)
    shutil.rmtree(folder_of(project))  # there is nothing that it could be taken back to
    return plan


def first_commit(folder: Path) -> bool:
    """Commit all of it; False where git does not know who the person is."""
    return git(folder, "add", "--all") and git(folder, "commit", "--quiet", "--message", "Begin with Pushline's template")


def git(folder: Path, *arguments: str) -> bool:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False).returncode == 0
