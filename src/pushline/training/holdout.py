"""The hold-out made again, on a machine that did not train."""

from pathlib import Path

from pushline.data.contract import Contract
from pushline.errors import DataError
from pushline.files import cannot_write
from pushline.results import TrainResult
from pushline.settings import Training
from pushline.training.prepare import prepare


def hold_out_again(trained: TrainResult, table: Path, contract: Contract, settings: Training) -> None:
    """Put the hold-out of `trained` where its result names it, from the typed table of the same data.

    Which rows are held out follows from their content, so they are the same rows. Raises DataError where their number says
    that they are not.
    """
    rows = prepare(table, contract, holdout=settings.holdout, use_known_after=settings.use_known_after).holdout
    if len(rows) != trained.holdout_rows:
        raise DataError(
            "The hold-out of the training run can't be made again.",
            why=f"It had {trained.holdout_rows:,} rows, the data of this machine gives {len(rows):,}.",
            do="Fetch the data that the run used (its data.lock), or run `pushline train` again.",
        )
    file = Path(trained.holdout)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(file, index=False)
    except OSError as error:
        raise cannot_write(file, error) from error
