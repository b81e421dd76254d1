"""GitHub: where the repository lives, whether `gh` may ask about it, and whether its settings are as they should be."""

import shutil
import subprocess
from collections.abc import Iterator

import msgspec

from pushline.azure.bootstrap import recall
from pushline.doctor import Here, Line, because, lacking, not_needed, note, works
from pushline.errors import PushlineError
from pushline.github import bootstrap, gh

OF_YOUR_OWN = "Name one of your own as `runner` in [tool.pushline], which keeps it, or connect Azure."


def remote(here: Here) -> Iterator[Line]:
    if shutil.which("git") is None:
        return  # told among the machine's own
    asked = subprocess.run(
        ["git", "remote", "get-url", "origin"], cwd=here.project.root, capture_output=True, text=True, timeout=20, check=False
    )
    address = asked.stdout.strip()
    if asked.returncode or not address:
        yield lacking(
            here, "git remote", "there is none called origin", "Make a repository on GitHub and `git remote add origin` it.",
            needed=here.on_azure,
        )  # fmt: skip
    else:
        yield works("git remote", without_secrets(address))
        if not here.on_azure and not here.settings.runner:
            yield note("deliveries", "are rehearsals: on a runner of GitHub's a release ends with its job", OF_YOUR_OWN)


def without_secrets(address: str) -> str:
    """An address without the name or token some carry before the host."""
    scheme, there, rest = address.partition("://")
    return f"{scheme}{there}{rest.rpartition('@')[2]}" if there else address


def settings(here: Here) -> Iterator[Line]:
    """What `bootstrap github` sets. Reading it takes the rights of a person, which a job's token has not."""
    if here.in_actions:
        yield not_needed("GitHub settings", "a job may not read them: run `pushline doctor` on a laptop")
        return
    try:
        who = gh.api("user")["login"]
    except PushlineError as error:
        yield because("gh", error, needed=here.on_azure)
        return
    yield works("gh", f"logged in as {who}")
    azure = recall(here.project.state)
    left = (azure.variables(), azure.environment_variables()) if azure else ()
    wanted = bootstrap.wanted(here.settings, ("-",), *left)
    try:
        state = bootstrap.read(msgspec.structs.replace(wanted, reviewers=()))
    except PushlineError as error:
        yield because("GitHub settings", error, needed=here.on_azure)
        return
    approving = state.environments.get("production", bootstrap.Environment()).reviewers
    by_hand = state.variables.get("PUSHLINE_APPROVAL") == "dispatch"
    changes = bootstrap.plan(msgspec.structs.replace(state, reviewer_ids=approving), wanted)
    if not changes and (approving or by_hand):
        yield works("GitHub settings", f"{state.repository} is as it should be")
        return
    do = "Run `pushline bootstrap github --reviewer LOGIN --apply`."
    for change in changes:
        yield lacking(here, "GitHub settings", f"not so: {change.what}", do, needed=here.on_azure)
    if not approving and not by_hand:
        yield lacking(here, "approval", "nobody has to approve a release", do, needed=here.on_azure)


CHECKS = (remote, settings)
