"""Commands about the releases that run: look at them, go back, stop them, change their keys."""

from typing import TYPE_CHECKING

import click

from pushline.cli.context import Context, alone, as_json, progress, show
from pushline.cli.sections import Listing

if TYPE_CHECKING:
    from pushline.release.target import Endpoint, LogEntry, Status


@click.command("status")
@click.option("--url", is_flag=True, help="Print the live address alone, for a shell: URL=$(pushline status --url).")
@as_json
def status(context: Context, url: bool, json: bool) -> None:
    """Show what is live, the candidate, and what would come back."""
    if url:
        from pushline.release.scoring import live_of

        click.echo(live_of(context.delivery.target()).url)
        return
    found = context.delivery.target().status()
    show(found, json, lines_of_status(found))


@click.command("logs")
@click.option("--since", metavar="TIME", help="Only entries of the last 45s, 10m or 2h.")
@click.option("--errors", is_flag=True, help="Only warnings and errors; refused requests are among them.")
@click.option("--follow", is_flag=True, help="Go on with new entries until interrupted.")
@click.option("--json", "json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def logs(context: Context, since: str | None, errors: bool, follow: bool, json: bool) -> None:
    """Show requests and failures of the live release."""
    from msgspec.json import encode

    from pushline.settings import seconds

    entries = context.delivery.target().logs(since=seconds(since) if since else None, errors=errors, follow=follow)
    for entry in entries:
        click.echo(encode(entry).decode() if json else line_of(entry))


@click.command("rollback")
@click.option("--plan", is_flag=True, help="Only say which release would come back.")
@click.option("--to", metavar="RELEASE", help="Refuse where another release than this one would come back by now.")
@as_json
def rollback(context: Context, plan: bool, to: str | None, json: bool) -> None:
    """Put the previous release on the live address again."""
    from pushline.github import actions
    from pushline.release.stages import plan_of_roll_back, roll_back
    from pushline.report.markdown import code

    target, store = context.delivery.target(), context.delivery.store()
    if plan:
        from pushline.github.approval import only_default_branch

        if actions.inside():
            only_default_branch()
        found = plan_of_roll_back(target, store)
        now = f"{code(found.live)} (version {found.live_version})" if found.live else "nothing that answers now"
        if not found.live and found.live_version:
            now = f"version {found.live_version}, whose release ended with the machine it ran on,"
        back = f"{code(found.previous)} (version {found.previous_version})"
        actions.output("previous", found.previous)
        actions.summarise(f"## rollback\n\nApproving it replaces {now} with {back} on {found.target}.")
        show(found, json, [f"rollback would replace {found.live or 'nothing'} with {found.previous} on {found.target}"])
        return
    live = roll_back(store, target, to=to or "", progress=progress)
    version = f"version {live.release.model_version}"
    actions.summarise(f"## rollback\n\n{code(live.release.id)} ({version}) is live again on {target.name}.")
    show(live, json, [f"live: {line_of_endpoint(live)}"])


@click.command("discard")
@as_json
def discard(context: Context, json: bool) -> None:
    """Remove the candidate; the live release is untouched."""
    there = context.delivery.target().discard(progress)
    show({"discarded": there}, json, ["The candidate was discarded." if there else "There was no candidate."])


@click.command("start")
@as_json
@alone
def start(context: Context, json: bool) -> None:
    """Let the release that was live answer again.

    After `stop`, after a restart of the machine, on Azure with changed settings.
    """
    live = context.delivery.target().start(progress)
    show(live, json, [f"live: {line_of_endpoint(live)}"])


@click.command("releases")
@as_json
def releases(context: Context, json: bool) -> None:
    """List the model versions, what was decided, which one is live."""
    from pushline.release.history import history_of, table_of

    found = history_of(context.delivery.store(), context.delivery.target())
    show(found, json, table_of(found))


@click.command("stop")
@as_json
def stop(context: Context, json: bool) -> None:
    """Stop the live release and any candidate."""
    ran = context.delivery.target().stop(progress)
    show({"stopped": ran}, json, ["Stopped." if ran else "Nothing was running."])


@click.group("keys", cls=Listing)
def keys() -> None:
    """Show or change the keys that clients send."""


@keys.command("show")
@click.pass_obj
def show_key(context: Context) -> None:
    """Print the primary key alone, for a shell: KEY=$(pushline keys show). Refused where a log would keep it."""
    from pushline.errors import SettingsError
    from pushline.github import actions

    if actions.inside():
        raise SettingsError(
            "No key is printed in a job of GitHub Actions.",
            why="Whoever may read the repository may read its log.",
            do="`pushline keys show-path` says where the keys are.",
        )
    click.echo(context.delivery.target().keys().primary)


@keys.command("show-path")
@as_json
def show_path(context: Context, json: bool) -> None:
    """Show where the keys are; they are made at the first call."""
    target = context.delivery.target()
    target.keys()
    show({"place": target.keys_place()}, json, [target.keys_place()])


@keys.command("rotate")
@as_json
def rotate(context: Context, json: bool) -> None:
    """Make a fresh primary key. The one before becomes the secondary and stays valid; the secondary before ends."""
    target = context.delivery.target()
    target.rotate_keys(progress)
    lines = ["A fresh primary key was made; the one before is the secondary now.", f"keys: {target.keys_place()}"]
    show({"rotated": True, "place": target.keys_place()}, json, lines)


def lines_of_status(found: "Status") -> list[str]:
    return [
        f"target: {found.target}",
        f"live: {line_of_endpoint(found.live)}",
        f"candidate: {line_of_endpoint(found.candidate)}",
        f"previous: {found.previous.id if found.previous else 'none'}",
        *(f"note: {note}" for note in found.notes),
    ]


def line_of_endpoint(endpoint: "Endpoint | None") -> str:
    if endpoint is None:
        return "none"
    version = f"{endpoint.release.model_name} version {endpoint.release.model_version}"
    return f"{endpoint.release.id} ({version}) at {endpoint.url}{'' if endpoint.ready else ', not ready'}"


def line_of(entry: "LogEntry") -> str:
    said = " ".join(f"{name}={value}" for name, value in entry.fields.items())
    return f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S} {entry.level:<7} {entry.release or '-'} {entry.event} {said}".rstrip()


@click.command("watch")
@click.option("--issue", is_flag=True, help="Keep one issue on GitHub for each cause, open while it lasts.")
@click.option("--retrain", is_flag=True, help="With --issue: start retrain.yml when an issue is opened because outcomes show decay.")
@as_json
def watch(context: Context, issue: bool, retrain: bool, json: bool) -> None:
    """Does it answer, and are inputs and quality what they were?

    The live release is asked, and what it logged is held against the profile and the card's promise.
    """
    from pushline.errors import GateClosed
    from pushline.github import actions
    from pushline.github.issue import keep
    from pushline.github.runs import start_retraining
    from pushline.report.terminal import lines_of_markdown
    from pushline.report.watching import watched_summary, watched_titles
    from pushline.watch import watch as look

    seen = look(context.delivery)
    summary, titles = watched_summary(seen), watched_titles(seen)
    actions.summarise(summary)
    show(seen, json, lines_of_markdown(summary))
    for cause, title in titles.items() if issue else ():
        done = keep(cause, title, summary, wrong=cause in seen.wrong, well=cause in seen.well)
        progress(f"issue about the {cause}: {done}")
        if retrain and cause == "performance" and done == "opened" and seen.decay:
            start_retraining(seen.decay)
            progress("retrain.yml was started: it makes a challenger of the pinned data")
    if seen.wrong:
        raise GateClosed(f"{'; '.join(titles[cause] for cause in seen.wrong)}.", do="`pushline logs --errors` and docs/after.md say more.")


COMMANDS = [watch, status, releases, logs, rollback, discard, start, stop, keys]
