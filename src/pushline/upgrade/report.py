"""What an upgrade changes, as Markdown: the body of a pull request, and what a terminal shows."""

from pushline.upgrade.engine import Notes
from pushline.upgrade.plan import Plan

QUIET = ("requirements/", "vendor/")


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
