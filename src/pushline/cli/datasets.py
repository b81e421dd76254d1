"""Commands about what the data looks like and how it grows."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.context import Context, alone, as_json, progress, show
from pushline.cli.sections import Listing

if TYPE_CHECKING:
    from pushline.data.contract import Contract

FILE = click.Path(path_type=Path)


def contract_of(context: Context) -> "Contract":
    from pushline.data.contract import load_contract

    return load_contract(context.project.contract)


@click.command("profile")
@click.argument("file", required=False, type=FILE)
@as_json
@alone
def profile(context: Context, file: Path | None, json: bool) -> None:
    """Make data_checks/profile.json from the checked table.

    Or from FILE: aggregates only, no rows.
    """
    from pushline.data.profile import renew_profile

    made = renew_profile(context.project, contract_of(context), file)
    balance = ", ".join(f"{name} {count:,}" for name, count in made.class_counts.items())
    lines = [
        f"profile of data version {made.data_version or 'unknown'}: {made.rows:,} rows ({balance})",
        f"{made.columns} columns, {made.groups} groups that belong together, {made.size / 1000:.0f} kB in {made.file}",
    ]
    show(made, json, lines)


@click.command("sample")
@click.option("--rows", type=click.IntRange(min=1), default=1000, show_default=True, help="How many.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same rows.")
@click.option("--out", type=FILE, help="A CSV file; by default standard output.")
@as_json
def sample(context: Context, rows: int, seed: int, out: Path | None, json: bool) -> None:
    """Generate rows from data_checks/profile.json, as CSV."""
    from pushline.data.profile import load_profile
    from pushline.data.profile.sample import SampleResult, blocks_of, sample_rows, write_sample

    if json and out is None:
        raise click.UsageError("--json goes with --out: standard output holds either the rows or the result.")
    contract = contract_of(context)
    profile = load_profile(context.project.profile)
    if out is None:
        made = sample_rows(profile, contract, rows, seed)
        made.to_csv(sys.stdout, index=False, lineterminator="\n", sep=contract.delimiter)
        return
    write_sample(blocks_of(profile, contract, rows, seed), out, contract.delimiter)
    progress("generated rows, drawn from data_checks/profile.json")
    show(SampleResult(file=str(out), rows=rows, seed=seed), json, [f"{rows:,} rows in {out}"])


@click.command("drift")
@click.argument("file", required=False, type=FILE)
@click.option("--logs", is_flag=True, help="The inputs that the service kept; FILE may name their folder.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="With --logs: only the newest so many days.")
@click.option("--version", metavar="N", help="With --logs: only what this model version answered.")
@as_json
def drift(context: Context, file: Path | None, logs: bool, days: float | None, version: str | None, json: bool) -> None:
    """Do rows still look like those that were learned from?

    FILE or recorded inputs are held against the profile; exit 1 where they have drifted. Drift promotes nothing: it says that the
    model may be out of date. Only labelled rows can tell.
    """
    from pushline.data.profile.drift import drift_of_file, drift_of_recorded, refuse
    from pushline.github import actions
    from pushline.report.datasets import drift_summary
    from pushline.report.terminal import lines_of_markdown

    if file is None and not logs:
        raise click.UsageError("Name a FILE, or --logs.")
    if not logs and (days is not None or version is not None):
        raise click.UsageError("--days and --version go with --logs.")
    project, contract = context.project, contract_of(context)
    if logs or file is None:
        seen = drift_of_recorded(project, contract, folder=file, days=days, version=version)
    else:
        seen = drift_of_file(project, contract, file)
    summary = drift_summary(seen)
    leave(project.build / "drift", seen, summary)
    actions.summarise(summary)
    show(seen, json, lines_of_markdown(summary))
    refuse(seen)


def leave(place: Path, result: Any, summary: str) -> None:
    """Leave a result and its summary in a folder below `build/`."""
    from pushline.files import write_atomically, write_json

    write_json(place / "result.json", result)
    write_atomically(place / "summary.md", summary.encode())


def local_data() -> Path | None:
    said = os.environ.get("PUSHLINE_DATA")
    return Path(said) if said else None


@click.group("data", cls=Listing)
def data() -> None:
    """Add, refresh, list and compare the pinned data.

    data.lock says what the repository trains on. Going back is a git revert.
    """


@data.command("add")
@click.argument("source", metavar="FILE|ADDRESS", required=False)
@click.option("--from-outcomes", is_flag=True, help="In the place of FILE, the logged rows whose outcome is known by now.")
@click.option("--since", metavar="TIME", help="With --from-outcomes: only rows of the last 30d, or from a day on, such as 2026-11-24.")
@click.option("--name", default="", help="What to call it in data.lock; by default the file's own name.")
@click.option("--url", default="", help="The https address where others find these very bytes.")
@as_json
@alone
def add(context: Context, source: str | None, from_outcomes: bool, since: str | None, name: str, url: str, json: bool) -> None:
    """Check new data, compare it with what is pinned, and add it to data.lock."""
    from pushline.data.sources.add import add as add_data
    from pushline.github import actions
    from pushline.report.datasets import added_summary
    from pushline.report.terminal import lines_of_markdown

    project, bias = context.project, ""
    if (source is None) != from_outcomes or (since and not from_outcomes):
        raise click.UsageError("Name a FILE or an ADDRESS, or --from-outcomes, which alone goes with --since.")
    if source is None:
        from pushline.outcomes.rows import training_rows

        source, bias = training_rows(project, contract_of(context), context.settings.performance.keys, project.build / "data-add", since)

    def found(added: Any) -> None:
        leave(project.build / "data-add", added, added_summary(added) + bias)

    added = add_data(project, contract_of(context), source, name=name, url=url, local=local_data(), progress=progress, leave=found)
    actions.summarise(added_summary(added) + bias)
    show(added, json, lines_of_markdown(added_summary(added) + bias))


@data.command("list")
@as_json
def list_(context: Context, json: bool) -> None:
    """The files of data.lock."""
    from pushline.data.sources.lock_history import listed
    from pushline.report.datasets import listed_lines

    files = listed(context.project)
    show(files, json, listed_lines(files))


@data.command("diff")
@click.argument("revision", default="HEAD")
@click.option("--untrusted", is_flag=True, help="As for a stranger's data.lock: https sources only, public addresses only, 2 GiB at most.")
@as_json
def diff(context: Context, revision: str, untrusted: bool, json: bool) -> None:
    """What changed in data.lock since REVISION (by default the last commit), and the drift of what is new."""
    from pushline.data.sources.download import TRUSTED, UNTRUSTED
    from pushline.data.sources.lock_history import moved
    from pushline.github import actions
    from pushline.report.datasets import moved_summary
    from pushline.report.terminal import lines_of_markdown

    terms = UNTRUSTED if untrusted else TRUSTED
    seen = moved(context.project, contract_of(context), revision, local=local_data(), progress=progress, terms=terms)
    actions.summarise(moved_summary(seen))
    show(seen, json, lines_of_markdown(moved_summary(seen)))


@data.command("refresh")
@as_json
@alone
def refresh(context: Context, json: bool) -> None:
    """Ask the sources whether they hold new data; if so, check it and move data.lock to it."""
    from pushline.data.sources.add import FOLDER
    from pushline.data.sources.add import refresh as refresh_data
    from pushline.github import actions
    from pushline.report.datasets import refreshed_part, refreshed_summary
    from pushline.report.terminal import lines_of_markdown

    project = context.project

    def found(seen: Any) -> None:
        leave(project.build / FOLDER, seen, refreshed_summary(seen))

    seen = refresh_data(project, contract_of(context), progress=progress, leave=found)
    actions.output("changed", str(seen.changed).lower())
    if seen.changed:
        actions.summarise(refreshed_summary(seen))
    show(seen, json, lines_of_markdown(refreshed_part(seen)))


@data.command("propose")
@as_json
@alone
def propose(context: Context, json: bool) -> None:
    """Open a pull request that moves data.lock to what `data refresh` found, or bring the open one up to date."""
    from pushline.github.data_change import propose_data

    made = propose_data(context.project)
    show(made, json, [f"{'opened' if made.created else 'brought up to date'}: {made.url}"])


COMMANDS = [profile, sample, drift, data]
