"""Azure: asked only where the target lives there, or a subscription is named; tried only where a person says so."""

import time
from collections.abc import Iterator

import msgspec

from pushline.azure import doctor as asked
from pushline.azure.account import completed
from pushline.azure.bootstrap import recall
from pushline.azure.failures import NEW_RIGHTS
from pushline.doctor import Here, Line, because, lacking, missing, not_needed, note, works
from pushline.errors import PushlineError
from pushline.github import oidc

APPLY = "Run `pushline bootstrap azure --apply`."
SHOWN = 12
AGAIN_S = 10.0


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
    environment = asked.environment()
    yield works("federated subject", asked.subject())
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


def preflights(here: Here) -> Iterator[Line]:
    """What `doctor --azure` tries, none of it for more than cents, and nothing that costs before all else works."""
    until = time.monotonic() + here.wait_s
    lines = list(account(here))
    while any(waiting_helps(line) for line in lines) and time.monotonic() < until:
        here.progress(f"What was given lately takes minutes to be known; {until - time.monotonic():.0f} s are left.")
        time.sleep(min(AGAIN_S, here.wait_s))
        lines = list(account(here))
    yield from lines
    if any(line.state == "missing" for line in lines):
        yield from _names(here)
        yield not_needed("preflights", "nothing was tried: first mend what is above")
        return
    from pushline.azure.preflight import PROBES, MayNotLook, Preflight, patiently

    preflight, environment, failed = Preflight(here.project, here.settings, here.progress), asked.environment(), ""
    for probe in PROBES:
        if (environment and environment not in probe.who) or (probe.paid and here.free):
            continue
        if probe.groups and here.settings.target != "aci":
            yield not_needed(probe.name, f"is not what {here.settings.target} stands on")
            continue
        if probe.paid and failed:
            yield not_needed(probe.name, f"was not tried: it costs, and {failed} is to be mended first")
            continue
        try:
            yield works(probe.name, patiently(probe, preflight, until))
        except MayNotLook:
            yield note(probe.name, "this identity may not read what the subscription has left", "Ask as a person who may.")
        except PushlineError as error:
            failed = failed or probe.name
            yield because(probe.name, error)


def as_target(here: Here, wait_s: float, *, free: bool) -> Here:
    """The same with a target on Azure, and with the names that `bootstrap azure` would give."""
    known = recall(here.project.state)
    settings = completed(here.settings, here.settings.azure.subscription or (known.subscription if known else ""))
    target = settings.target if settings.on_azure else "aci"
    return msgspec.structs.replace(here, settings=msgspec.structs.replace(settings, target=target), wait_s=wait_s, free=free)


def remove_leftovers(here: Here) -> Iterator[str]:
    from pushline.azure.preflight import Preflight, clean

    return clean(Preflight(here.project, here.settings, here.progress), asked.environment())


def waiting_helps(line: Line) -> bool:
    return line.state == "missing" and (NEW_RIGHTS in line.do or line.name == "roles")


def _names(here: Here) -> Iterator[Line]:
    """Of what a person has still to make: names that somebody else has, which only show when it is made."""
    if asked.in_a_job():
        return
    try:
        for what, why in asked.names_taken(here.settings):
            yield missing("name", f"{what} can't have its name: {why}", "Name another `workspace` in [tool.pushline.azure].")
    except PushlineError as error:
        yield because("name", error)


PREFLIGHT = (preflights,)
CHECKS = (account,)
