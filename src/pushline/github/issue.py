"""One issue that is open while something is wrong, and closed when it is well."""

from typing import Literal

from pushline.github import gh

LABEL = "pushline-watch"


def keep(title: str, body: str, *, wrong: bool, well: bool) -> Literal["opened", "updated", "closed", "left", "none"]:
    """Open the issue, bring the open one up to date, or close it with a comment where all was seen `well`; there is never more than one."""
    base = f"repos/{gh.repository()}/issues"
    there = [each for each in gh.api(f"{base}?state=open&labels={LABEL}") or [] if "pull_request" not in each]
    if wrong and there:
        gh.api(f"{base}/{there[0]['number']}", method="PATCH", body={"title": title, "body": body})
        return "updated"
    if wrong:
        gh.api(base, method="POST", body={"title": title, "body": body, "labels": [LABEL]})
        return "opened"
    for each in there if well else ():
        gh.api(f"{base}/{each['number']}/comments", method="POST", body={"body": body})
        gh.api(f"{base}/{each['number']}", method="PATCH", body={"state": "closed", "state_reason": "completed"})
    return ("closed" if well else "left") if there else "none"
