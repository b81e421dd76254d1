"""What an upgrade changes: for a terminal, and as the body of a pull request."""

from pushline.upgrade.engine import Notes
from pushline.upgrade.plan import Plan
from pushline.wording import counted

QUIET = ("requirements/", "vendor/")


def lines_of(plan: Plan) -> list[str]:
    """What changes in the files, what changed for users, and last what a person must do."""
    lines = [f"Pushline {plan.before} → {plan.after}: {counted(len(plan.files), 'file')}", ""]
    lines += [f"  {word:<9} {path}" for path, word in words_of(plan)]
    lines += [f"  {'deleted':<9} {path} stays so: the new version changed it" for path in plan.stay_deleted]
    lines += [
        f"  {'yours':<9} {', '.join(names)} in {path}: pinned as you had them; `make lock` resolves them anew"
        for path, names in plan.packages.items()
    ]
    for notes in plan.notes:
        lines += ["", notes.version, *(f"  {line}" for line in notes.text.splitlines() if line.strip())]
    for notes in by_hand(plan):
        lines += ["", f"By hand, for {notes.version}:", *(f"  {line}" for line in notes.by_hand.splitlines() if line.strip())]
    return lines


def summary_of(plan: Plan) -> str:
    """The same as Markdown."""
    lines = [f"# Pushline {plan.before} → {plan.after}", ""]
    for notes in by_hand(plan):
        lines += [f"**By hand, for {notes.version}**", "", notes.by_hand, ""]
    for notes in plan.notes:
        lines += [f"## {notes.version}", "", notes.text or "Nothing that users see.", ""]
    lines += ["## Files", "", *(f"- {word} `{path}`" for path, word in words_of(plan))]
    lines += [f"- `{path}` stays deleted" for path in plan.stay_deleted]
    lines += [f"- `{path}` keeps {', '.join(names)}" for path, names in plan.packages.items()]
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
