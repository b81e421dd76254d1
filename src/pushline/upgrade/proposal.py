"""The upgrade as a pull request, whose body is what changed in the users' words."""

from pushline.errors import TargetError
from pushline.github.pull_request import PullRequest, left_in, open_of, propose
from pushline.project import Project
from pushline.upgrade.applied import STAGED, Upgraded

WORKFLOWS = ".github/workflows/"


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
