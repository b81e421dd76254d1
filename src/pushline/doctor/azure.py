"""Azure: asked only where the target lives there, or a subscription is named."""

from collections.abc import Iterator

from pushline.azure import doctor as asked
from pushline.azure.account import completed
from pushline.azure.bootstrap import recall
from pushline.doctor import Here, Line, because, lacking, not_needed, works
from pushline.errors import PushlineError
from pushline.github import oidc

APPLY = "Run `pushline bootstrap azure --apply`."
SHOWN = 12


def account(here: Here) -> Iterator[Line]:
    known = recall(here.project.state)
    subscription = here.settings.azure.subscription or (known.subscription if known else "")
    if not here.on_azure and not subscription:
        yield not_needed("Azure", "no account is needed: the target is local")
        return
    try:
        yield works("Azure sign-in", asked.sign_in())
    except PushlineError as error:
        yield because("Azure sign-in", error, needed=here.on_azure)
        return
    yield from _job(here) if asked.in_a_job() else _person(here, subscription)


def _person(here: Here, subscription: str) -> Iterator[Line]:
    """All that `bootstrap azure` makes, trust and roles included."""
    try:
        prefix = oidc.subject_prefix()
        wrong = asked.shortcomings(completed(here.settings, subscription), prefix)
    except PushlineError as error:
        yield because("Azure account", error, needed=here.on_azure)
        return
    if not wrong:
        yield works("Azure account", "resources, identities, trust and roles are as they should be")
    for what in wrong[:SHOWN]:
        yield lacking(here, "Azure account", f"to do: {what}", APPLY, needed=here.on_azure)
    if len(wrong) > SHOWN:
        yield lacking(here, "Azure account", f"and {len(wrong) - SHOWN} more", APPLY, needed=here.on_azure)


def _job(here: Here) -> Iterator[Line]:
    """The identity this job stands for: that it was let in proves its trust; then what it finds and may do."""
    subject = asked.subject()
    environment = subject.rpartition(":environment:")[2] if ":environment:" in subject else ""
    yield works("federated subject", subject)
    try:
        yield works("workspace", asked.workspace(here.settings))
        absent = list(asked.roles_lacking(here.settings, environment))
    except PushlineError as error:
        yield because("workspace", error, needed=here.on_azure)
        return
    for role in absent:
        yield lacking(here, "roles", f"this identity has not {role}", APPLY, needed=here.on_azure)
    if not absent:
        yield works("roles", f"all that {environment or 'this job'} needs")


CHECKS = (account,)
