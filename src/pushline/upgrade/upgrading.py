"""The steps of an upgrade in order, and what it changes: as Markdown, and as a pull request in the users' words.

All of it is written down in `.pushline/upgrade/` first; from then on a kill is made good by the same command.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.adopt.journal import hash_of, put, sha256
from pushline.errors import GateClosed, SettingsError, TargetError
from pushline.files import cannot_write, remove, settle, whole_folder, write_atomically
from pushline.github.pull_request import PullRequest, left_in, open_of, propose
from pushline.progress import Progress
from pushline.project import Project
from pushline.upgrade.engine import Notes, number, pin_of, present, wanted
from pushline.upgrade.plan import File, Plan, plan_upgrade, refuse_dirty, refuse_downgrade
from pushline.upgrade.trees import git, workspace

QUIET = ("requirements/", "vendor/")
WORKFLOWS = ".github/workflows/"
STAGED = "upgrade"
RECORD = "upgrade.json"


class Step(Struct, frozen=True, kw_only=True):
    """One file: sha256 of its content before and after, None for no file; in a conflict, mode and sha256 of git's stages."""

    path: str
    before: str | None
    after: str | None
    mode: int
    stages: dict[int, tuple[str, str]] = {}


class Upgraded(Struct, frozen=True, kw_only=True):
    """What an upgrade changes, or has changed."""

    before: str  # version
    after: str
    files: tuple[Step, ...]
    summary: str  # what changed in the users' words, as Markdown

    @property
    def conflicts(self) -> list[str]:
        return [step.path for step in self.files if step.stages]


def upgrade(project: Project, *, to: str | None, check: bool, allow_downgrade: bool, progress: Progress) -> Upgraded | None:
    """Bring the repository to another version; with `check` only say what that changes. None where it runs that version.

    Raises SettingsError where it can't be begun, GateClosed for a conflict of an earlier upgrade that nobody has resolved.
    """
    pin = pin_of(project.root)
    if not check and (done := finish(project)):
        progress("An upgrade was interrupted; it is complete now.")
        return done
    with workspace() as folder:
        new = wanted(project.root, pin, to, folder)
        if new.sha256 == pin.sha256 or (not to and number(new.version) <= number(pin.version)):
            refuse_unresolved(unresolved(project))
            return None
        refuse_dirty(project)
        old = present(project.root, pin, folder)
        refuse_downgrade(old, new, allowed=allow_downgrade)
        plan = plan_upgrade(project, pin, old, new)
        result = upgraded(plan, summary_of(plan))
        if check:
            return result
        stage(project, plan, result)
    return finish(project)


def refuse_unresolved(conflicts: list[str]) -> None:
    """Raises GateClosed where lines of both sides stand in a file."""
    if conflicts:
        raise GateClosed(
            f"You and the new version changed the same lines of {', '.join(conflicts)}.",
            why="Everything else is done; there the lines of both stand between <<<<<<< and >>>>>>>.",
            do="Edit these files, `git add` them, and commit. `git reset --hard` takes the upgrade back.",
        )


def summary_of(plan: Plan) -> str:
    """First what a person must do, then what changed for users, and what changes in the files."""
    lines = [f"# Pushline {plan.before} → {plan.after}", ""]
    for notes in by_hand(plan):
        lines += [f"**By hand, for {notes.version}**", "", notes.by_hand, ""]
    for notes in plan.notes:
        lines += [f"## {notes.version}", "", notes.text or "Nothing that users see.", ""]
    lines += ["## Files", "", *(f"- {word} `{path}`" for path, word in words_of(plan))]
    lines += [f"- `{path}` stays deleted: the new version changed it" for path in plan.stay_deleted]
    pinned = "pinned as you had them; `make lock` resolves them anew"
    lines += [f"- {', '.join(names)} in `{path}`: {pinned}" for path, names in plan.packages.items()]
    return "\n".join(lines) + "\n"


def words_of(plan: Plan) -> list[tuple[str, str]]:
    """Each file and what becomes of it; locks and the wheel last, as nobody reads them."""
    words = [
        (file.path, "conflict" if file.stages else "new" if file.before is None else "removed" if file.after is None else "changed")
        for file in plan.files
    ]
    return sorted(words, key=lambda each: (each[1] != "conflict", each[0].startswith(QUIET), each[0]))


def by_hand(plan: Plan) -> list[Notes]:
    """Oldest first, as a person has to go through them."""
    return [notes for notes in reversed(plan.notes) if notes.by_hand]


def propose_upgrade(project: Project) -> PullRequest:
    """The pull request for what `pushline upgrade` left in the work tree; one that is open stays as people left it.

    Raises SettingsError where it left nothing, TargetError with what git or GitHub said: a job's token may write no workflow.
    """
    made, body = left_in(project.build / STAGED, Upgraded, "pushline upgrade")
    branch = f"pushline/{made.after}"
    if there := open_of(branch):
        return there
    files = [project.root / step.path for step in made.files]
    title = f"Pushline {made.before} → {made.after}"
    try:
        return propose(project.root, files, branch=branch, title=title, body=body)
    except TargetError as error:
        workflows = [step.path for step in made.files if step.path.startswith(WORKFLOWS)]
        if "refusing to allow" not in error.why or not workflows:
            raise
        raise TargetError(
            f"The upgrade to {made.after} changes {', '.join(workflows)}, and this token may write no workflow file.",
            why=error.why,
            do="Run `pushline upgrade` on your machine and push that. Or let this job do it: make a fine-grained token that may write "
            "contents, pull requests and workflows of this repository, store it as a secret, and name that secret as GH_TOKEN of the "
            "step `propose` in .github/workflows/upgrade.yml.",
        ) from error


def folder_of(project: Project) -> Path:
    return project.state / STAGED


def upgraded(plan: Plan, summary: str) -> Upgraded:
    return Upgraded(before=plan.before, after=plan.after, files=tuple(map(step_of, plan.files)), summary=summary)


def step_of(file: File) -> Step:
    stages = {stage: (mode, sha256(content)) for stage, (mode, content) in file.stages.items()}
    before, after = (None if content is None else sha256(content) for content in (file.before, file.after))
    return Step(path=file.path, before=before, after=after, mode=file.mode, stages=stages)


def stage(project: Project, plan: Plan, made: Upgraded) -> None:
    """Write the plan down, whole or not at all."""
    contents = [content for file in plan.files for content in (file.after, *(content for _, content in file.stages.values()))]
    with whole_folder(folder_of(project)) as half:
        for content in contents:
            if content is not None:
                (half / sha256(content)).write_bytes(content)
        (half / RECORD).write_bytes(msgspec.json.encode(made))


def finish(project: Project) -> Upgraded | None:
    """Make so what was staged, by this command or by one that was killed; None where nothing is staged.

    Raises SettingsError, before anything is touched, where a file is neither as it was nor as it is to be.
    """
    folder = folder_of(project)
    settle(folder)
    if not (folder / RECORD).is_file():
        return None
    made = msgspec.json.decode((folder / RECORD).read_bytes(), type=Upgraded)
    other = [step.path for step in made.files if hash_of(project.root / step.path) not in (step.before, step.after)]
    if other:
        raise SettingsError(
            f"An upgrade to {made.after} was interrupted, and {', '.join(other[:6])}{' and others' * (len(other) > 6)} changed since.",
            why="What was changed there would be lost.",
            do=f"Move these changes away and restore the files with `git checkout`, then run the same command again; "
            f"or remove {folder} and go back with git.",
        )
    for step in sorted(made.files, key=lambda step: step.after is not None):  # a file may come where a folder was
        put(project.root / step.path, None if step.after is None else (folder / step.after).read_bytes(), step.mode)
    mark(project, made, folder)
    place = project.build / STAGED
    write_atomically(place / "result.json", msgspec.json.encode(made))
    write_atomically(place / "summary.md", made.summary.encode())
    try:
        remove(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return made


def mark(project: Project, made: Upgraded, folder: Path) -> None:
    """Let git's index hold the three sides of each conflict, so that `git status` names it and a commit waits for it."""
    prefix = git(project.root, "rev-parse", "--show-prefix").decode().rstrip("\n")
    lines = []
    for step in made.files:
        if step.stages:
            lines.append(f"0 {'0' * 40}\t{prefix}{step.path}\n")
        for side, (mode, content) in step.stages.items():
            blob = git(project.root, "hash-object", "-w", str(folder / content)).decode().strip()
            lines.append(f"{mode} {blob} {side}\t{prefix}{step.path}\n")
    if lines:
        git(project.root, "update-index", "--index-info", given="".join(lines).encode())


def unresolved(project: Project) -> list[str]:
    """The files whose conflict nobody has resolved yet."""
    said = git(project.root, "ls-files", "--unmerged", "-z").decode("utf-8", "replace").split("\0")
    return sorted({entry.partition("\t")[2] for entry in said if entry})
