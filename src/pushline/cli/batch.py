"""The command that scores files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.context import Context, as_json, progress, show
from pushline.wording import counted

if TYPE_CHECKING:
    from pushline.batch.job import BatchResult, Options


@click.command("score-batch")
@click.argument("source", metavar="INPUT")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the scores go: a .csv or .parquet file on this machine. Rows without one go beside it, with line and reason.",
)
@click.option("--version", metavar="N", help="Model version; by default the champion.")
@click.option("--strict", is_flag=True, help="Stop at the first row that breaks the contract, instead of setting such rows aside.")
@click.option("--workers", type=click.IntRange(1, 64), help="Cores to use; by default all.")
@click.option("--cluster", is_flag=True, help="Score on the cluster of the workspace, in parallel jobs, instead of here (on Azure).")
@as_json
def score_batch(
    context: Context, source: str, out: Path, version: str | None, strict: bool, workers: int | None, cluster: bool, json: bool
) -> None:
    """Score a CSV or Parquet file of any size.

    INPUT is a path or an address that fsspec knows. The same command again resumes, as long as the input is the same: a file by
    its content, an address by its beginning and by the size, time and ETag that its server tells.
    """
    from pushline.batch import job
    from pushline.batch.job import drift_of_sample
    from pushline.registry.store import version_or_champion

    contract = context.delivery.contract()
    options = job.Options(delimiter=contract.delimiter, strict=strict, workers=workers)
    if cluster:
        ended = on_cluster(context, source, out, version or None, options)
    else:
        store = context.delivery.store()
        number = version_or_champion(store, version or None).version
        ended = job.score_batch(source, out, store.download(number), number, options=options, progress=progress)
    drift = drift_of_sample(context.project, ended)
    lines = lines_of(ended)
    if drift is not None:
        moved = f" in {', '.join(drift.drifted)}" if drift.drifted else ""
        lines.append(f"drift of the input: {drift.verdict}{moved}")
    show({"scored": ended, "drift": drift}, json, lines)


def on_cluster(context: Context, source: str, out: Path, version: str | None, options: "Options") -> "BatchResult":
    """The same, by a batch endpoint of the workspace. Raises SettingsError where the target has none."""
    from pushline.errors import SettingsError

    if not context.settings.on_azure:
        raise SettingsError(
            "There is no cluster to score on.",
            why=f"The target is {context.settings.target}.",
            do='Leave --cluster out, or set target = "aci" (PUSHLINE_TARGET=aci).',
        )
    from pushline.azure.batch import AzureBatch
    from pushline.registry.store import version_or_champion

    number = version_or_champion(context.delivery.store(), version).version
    return AzureBatch(context.project, context.settings).score(source, out, number, options=options, progress=progress)


def lines_of(ended: "BatchResult") -> list[str]:
    """What a person wants to know of a job."""
    lines = [
        f"{ended.out}: {counted(ended.scored, 'row')} scored by version {ended.model_version} in {ended.seconds:.1f} s "
        f"({ended.rows_per_second:,.0f} rows/s){', resumed' if ended.resumed else ''}"
    ]
    lines += [f"result {name}: {count:,} ({count / max(ended.scored, 1):.1%})" for name, count in ended.results.items()]
    if ended.rejected:
        lines.append(f"{ended.rejects}: {counted(ended.rejected, 'row')} set aside")
        lines += [f"  {counted(count, 'time')}: {reason}" for reason, count in ended.reasons.items()]
    lines.append(f"scores from 0 to 1: {bars(ended.histogram)}")
    return lines


def bars(counts: Any) -> str:
    """Counts as a row of blocks."""
    most = max(*counts, 1)
    return "".join(" ▁▂▃▄▅▆▇█"[-(-count * 8 // most)] for count in counts)


COMMANDS = [score_batch]
