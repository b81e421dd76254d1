"""Commands about what the data looks like and how it grows."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.context import Context, as_json, tell

if TYPE_CHECKING:
    from pushline.data.contract import Contract

FILE = click.Path(path_type=Path)


def contract_of(context: Context) -> "Contract":
    from pushline.data.contract import load_contract

    return load_contract(context.project.contract)


def show(result: Any, lines: Iterable[str], *, json: bool) -> None:
    """Print a result as JSON or as its lines."""
    if json:
        from pushline.results import as_json as text

        click.echo(text(result))
    else:
        for line in lines:
            click.echo(line)


@click.command("profile")
@click.argument("file", required=False, type=FILE)
@as_json
@click.pass_obj
def profile(context: Context, file: Path | None, json: bool) -> None:
    """Make data_checks/profile.json from the checked table (or FILE): aggregates only, no rows."""
    from pushline.data.profile import renew_profile

    made = renew_profile(context.project, contract_of(context), file)
    balance = ", ".join(f"{name} {count:,}" for name, count in made.class_counts.items())
    lines = [
        f"profile of data version {made.data_version or 'unknown'}: {made.rows:,} rows ({balance})",
        f"{made.columns} columns, {made.groups} groups that belong together, {made.size / 1000:.0f} kB in {made.file}",
    ]
    show(made, lines, json=json)


@click.command("sample")
@click.option("--rows", type=click.IntRange(min=1), default=1000, show_default=True, help="How many.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same rows.")
@click.option("--out", type=FILE, help="A CSV file; by default standard output.")
@as_json
@click.pass_obj
def sample(context: Context, rows: int, seed: int, out: Path | None, json: bool) -> None:
    """Generate rows from data_checks/profile.json, as CSV."""
    from pushline.data.profile import load_profile
    from pushline.data.sample import Sampled, sample_rows, write_sample

    if json and out is None:
        raise click.UsageError("--json goes with --out: standard output holds either the rows or the result.")
    contract = contract_of(context)
    made = sample_rows(load_profile(context.project.profile), contract, rows, seed)
    if out is None:
        made.to_csv(sys.stdout, index=False, lineterminator="\n", sep=contract.delimiter)
        return
    write_sample(made, out, contract.delimiter)
    tell("generated rows, drawn from data_checks/profile.json")
    show(Sampled(file=str(out), rows=rows, seed=seed), [f"{rows:,} rows in {out}"], json=json)


COMMANDS = [profile, sample]
