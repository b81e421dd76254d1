"""The steps of an upgrade in order, and what it changes: as Markdown, and as a pull request in the users' words."""

from pushline.errors import GateClosed, TargetError
from pushline.github.pull_request import PullRequest, left_in, open_of, propose
from pushline.progress import Progress
from pushline.project import Project
from pushline.upgrade.applied import STAGED, Upgraded, finish, stage, unresolved, upgraded
from pushline.upgrade.engine import Notes, number
from pushline.upgrade.plan import Plan, plan_upgrade, refuse_dirty, refuse_downgrade
from pushline.upgrade.source import pin_of, present, wanted
from pushline.upgrade.trees import workspace

QUIET = ("requirements/", "vendor/")
WORKFLOWS = ".github/workflows/"


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
