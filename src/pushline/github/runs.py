"""Which runs of GitHub Actions count: those that deliver, on the default branch of this repository. Nobody outside can start one.

Anyone may open a pull request whose workflow files, branch name and artifacts look like ours. What a stranger can't choose is the event
that started a run and the repository its commit is in, so those decide, together with branch and workflow.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from pushline.errors import NotAccepted
from pushline.github import gh

DELIVERING = ("deliver", "retrain")
RELEASING = (*DELIVERING, "rollback")
EVENTS = frozenset({"push", "workflow_dispatch", "schedule", "repository_dispatch"})
PAGE = 100


class Home(Struct, frozen=True, kw_only=True):
    """The repository whose runs are looked at."""

    name: str  # owner/name
    id: int
    default_branch: str

    @property
    def path(self) -> str:
        return f"repos/{self.name}"


def home() -> Home:
    name = gh.repository()
    about = gh.api(f"repos/{name}")
    return Home(name=name, id=about["id"], default_branch=about["default_branch"])


def refusal(run: Mapping[str, Any], here: Home, workflows: tuple[str, ...]) -> str:
    """Why a run doesn't count; empty where it does."""
    head = run.get("head_repository") or {}
    if head.get("id") != here.id:
        return f"it is a run of another repository's commit ({head.get('full_name', 'deleted since')})"
    if run["event"] not in EVENTS:
        return f"it was started by {run['event']}"
    if run["head_branch"] != here.default_branch:
        return f"it ran on the branch {run['head_branch']}, not on {here.default_branch}"
    file = run["path"].split("@")[0].removeprefix(".github/workflows/")
    return "" if file in {f"{name}.yml" for name in workflows} else f"it is a run of {file}"


def check(number: str) -> Mapping[str, Any]:
    """The run `number`, where its results may be used. Raises NotAccepted for any other."""
    where = "Name a run of deliver.yml or retrain.yml on the default branch: its number stands in its address."
    if not (number.isascii() and number.isdigit()):
        raise NotAccepted(f"The results of run {number!r} can't be used.", why="That is no number of a run.", do=where)
    here = home()
    try:
        run: Mapping[str, Any] = gh.api(f"{here.path}/actions/runs/{number}")
        why = refusal(run, here, DELIVERING)
    except gh.NotFound:
        why = "there is none of that number in this repository"
    if why:
        raise NotAccepted(f"The results of run {number} can't be used.", why=f"{why[0].upper()}{why[1:]}.", do=where)
    return run


def delivered_before(here: Home, *, but: str) -> Mapping[str, Any] | None:
    """The newest successful run that counts, other than `but`; None where no delivery ever ended well."""
    for workflow in RELEASING:
        for event in ("push", "workflow_dispatch"):
            query = f"branch={here.default_branch}&status=success&event={event}"
            try:
                listed = gh.api(f"{here.path}/actions/workflows/{workflow}.yml/runs?{query}&per_page={PAGE}")["workflow_runs"]
            except gh.NotFound:  # an adopter without that workflow
                break
            counted = [run for run in listed if not refusal(run, here, RELEASING) and str(run["id"]) != but]
            if counted:
                return counted[0]  # type: ignore[no-any-return]  # GitHub's JSON has no types
    return None


def start_retraining(because: str) -> None:
    """Start retrain.yml with the data that the default branch pins: a challenger, and a person approves as ever."""
    base = f"repos/{gh.repository()}"
    inputs = {"now": "true", "because": because}
    branch = gh.api(base)["default_branch"]
    gh.api(f"{base}/actions/workflows/retrain.yml/dispatches", method="POST", body={"ref": branch, "inputs": inputs})
