"""One issue for each cause of an alarm: open while it lasts, and closed when it is over."""

from typing import Any, Literal

from pushline.github import gh

LABEL = "pushline-watch"
CAUSE = "pushline-watch-"  # and the cause


def keep(cause: str, title: str, body: str, *, wrong: bool, well: bool) -> Literal["opened", "updated", "closed", "left", "none"]:
    """Open the cause's issue, bring the open one up to date, or close it with a comment where all was seen `well`.

    There is never more than one. An issue without a cause is of an older version, about the release.
    """
    base = f"repos/{gh.repository()}/issues"
    there = [one for one in gh.listed(f"{base}?state=open&labels={LABEL}") if "pull_request" not in one and cause_of(one) == cause]
    if wrong and there:
        gh.api(f"{base}/{there[0]['number']}", method="PATCH", body={"title": title, "body": body})
        return "updated"
    if wrong:
        gh.api(base, method="POST", body={"title": title, "body": body, "labels": [LABEL, CAUSE + cause]})
        return "opened"
    for each in there if well else ():
        gh.api(f"{base}/{each['number']}/comments", method="POST", body={"body": body})
        gh.api(f"{base}/{each['number']}", method="PATCH", body={"state": "closed", "state_reason": "completed"})
    return ("closed" if well else "left") if there else "none"


def cause_of(issue: dict[str, Any]) -> str:
    names = [label if isinstance(label, str) else label["name"] for label in issue.get("labels", [])]
    return next((name.removeprefix(CAUSE) for name in names if name.startswith(CAUSE)), "release")
