"""What the evidence job says of the approval itself: of which run the evidence is, and whether anybody is asked."""

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from pushline.errors import NotAccepted
from pushline.github import gh
from pushline.github.actions import REHEARSAL, inside
from pushline.github.runs import home

if TYPE_CHECKING:
    from pushline.report.evidence import Evidence

ENVIRONMENT = "production"
BOOTSTRAP = "`pushline bootstrap github --reviewer LOGIN --apply` makes it wait for a person."


class Approval(Struct, frozen=True, kw_only=True):
    """How a release is approved, as far as GitHub says."""

    run: str  # whose results are shown; empty outside jobs
    url: str
    asked: bool  # a person has to approve
    rehearsal: bool = False  # what is released ends with its job

    def lead(self) -> str:
        """Markdown that stands above the evidence."""
        parts = [f"Evidence of [run {self.run}]({self.url})."] if self.run else []
        if not self.asked:
            why = f"the environment `{ENVIRONMENT}` has no reviewers"
            parts.append(f"> [!WARNING]\n> **Nobody is asked before this is released**: {why}. {BOOTSTRAP}")
        if self.rehearsal:
            parts.append(f"> [!NOTE]\n> {REHEARSAL}")
        return "\n\n".join(parts) + "\n\n" if parts else ""


def approval(run: str, *, first: str, by_hand: bool, rehearsal: bool = False) -> Approval:
    """`run`: whose results are released where the delivery begins with deploy; `by_hand`: the release is a run that a person starts.

    Raises NotAccepted in a job of another branch than the default one.
    """
    if not inside():
        return Approval(run="", url="", asked=True)
    only_default_branch()
    number = run if first == "deploy" else os.environ.get("GITHUB_RUN_ID", "")
    url = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{gh.repository()}/actions/runs/{number}"
    return Approval(run=number, url=url, asked=by_hand or has_reviewers(), rehearsal=rehearsal)


def only_default_branch() -> None:
    """Raises NotAccepted in a job that runs on another branch: what it would release was not reviewed."""
    default = home().default_branch
    if inside() and (ref := os.environ.get("GITHUB_REF", "")) != f"refs/heads/{default}":
        raise NotAccepted(f"Only {default} is released.", why=f"This run is of {ref or 'no branch'}.", do=f"Run the workflow on {default}.")


def has_reviewers() -> bool:
    """Whether the environment waits for a person. GitHub makes one that is not there at its first use, without protection."""
    try:
        rules = gh.api(f"repos/{gh.repository()}/environments/{ENVIRONMENT}").get("protection_rules", [])
    except gh.NotFound:
        return False
    return any(rule["type"] == "required_reviewers" and rule.get("reviewers") for rule in rules)


def verdict(asked: Approval, shown: "Evidence", *, target: str, first: str) -> None:
    """Raises NotAccepted where nobody need be asked: a version that may not be released, or a cloud that nobody guards."""
    if first == "deploy" and not shown.accepted:
        raise NotAccepted(
            f"Version {shown.version} can't be released: it was not accepted.",
            why=shown.reason or "The registry holds no decision that accepts it.",
            do="Deliver from train or register to have it decided again, or name an accepted version. Nobody was asked.",
        )
    if shown.accepted and not asked.asked and target != "local":
        raise NotAccepted(
            "Nothing is released: nobody would be asked.",
            why=f"The environment {ENVIRONMENT} has no reviewers, and the target {target} is not this machine.",
            do=f"{BOOTSTRAP} Where the plan has no reviewers, it makes the approval a run by hand.",
        )
