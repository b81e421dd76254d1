"""Locks are renewed, not merged: the new engine's, and behind it what the owner added to the old one."""

import re

WHEEL = re.compile(r"(?P<name>[A-Za-z0-9._]+)-\d[^/\s]*\.whl")
NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")


def pins(lock: str) -> dict[str, str]:
    """The text of each pin with its hashes and the comments above it, by the package's name as indexes compare names."""
    found: dict[str, str] = {}
    waiting, name = "", ""
    for line in lock.splitlines(keepends=True):
        if line[:1].isspace() and name:
            found[name] += line
        elif not line.strip() or line.startswith("#"):
            waiting, name = waiting + line, ""
        else:
            named = WHEEL.search(line) or NAMED.match(line)
            name = re.sub(r"[-_.]+", "-", named["name"]).lower() if named else line.strip()
            found[name], waiting = waiting + line, ""
    return found


def renewed(base: str, ours: str, new: str) -> tuple[str, list[str]]:
    """The lock to have, and the names of the packages that the owner had added."""
    engine = pins(base).keys() | pins(new).keys()
    added = {name: text for name, text in pins(ours).items() if name not in engine}
    if not added:
        return new, []
    end = "" if new.endswith("\n") or not new else "\n"
    return new + end + "".join(text if text.endswith("\n") else f"{text}\n" for text in added.values()), list(added)
