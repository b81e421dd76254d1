"""The steps of an upgrade, in order."""

from pushline.errors import GateClosed
from pushline.progress import Progress
from pushline.project import Project
from pushline.upgrade.applied import Upgraded, finish, stage, unresolved, upgraded
from pushline.upgrade.engine import number
from pushline.upgrade.plan import plan_upgrade, refuse_dirty, refuse_downgrade
from pushline.upgrade.report import summary_of
from pushline.upgrade.source import pin_of, present, wanted
from pushline.upgrade.trees import workspace


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
