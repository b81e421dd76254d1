"""What the example's figures would be for the time after: the same search with the hold-out of the contract, and by month.

    python scripts/example_in_time.py FILE [--seconds 40]

The rows of the file are shuffled, but `emp.var.rate` names the quarter in which a call was made and `month` the month in it.
The values of `emp.var.rate` came in the order below (May 2008 to November 2010), so each row gets the number of its month.
"""

import argparse
import tempfile
from pathlib import Path

import msgspec
import pandas as pd

from pushline.data.contract import Column, Contract, Split, load_contract
from pushline.data.contract.encoding import class_codes, encode_frame
from pushline.training.automl.limits import SearchSettings
from pushline.training.export import predict
from pushline.training.find import find_model
from pushline.training.metrics import figures
from pushline.training.prepare import prepare

CONTRACT = Path(__file__).resolve().parent.parent / "data_checks" / "contract.yml"
RATES = (1.1, 1.4, -0.1, -0.2, -1.8, -2.9, -3.4, -3.0, -1.7, -1.1)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
SHOWN = ("average_precision", "roc_auc", "log_loss")


def months(frame: pd.DataFrame) -> "pd.Series[int]":
    """The number of each row's month, from 0 without gaps."""
    order = frame["emp.var.rate"].map({rate: place for place, rate in enumerate(RATES)}) * 12 + frame["month"].map(MONTHS.index)
    return order.rank(method="dense").astype("int64") - 1


def of_split(name: str, table: Path, contract: Contract, seconds: float) -> None:
    """Search, judge, and print the figures of one split."""
    prepared = prepare(table, contract, holdout=0.1)
    settings = SearchSettings(metric="average_precision", seconds=seconds)
    best, model, labels, out_of_fold, _ = find_model(
        prepared.train, contract, settings, use_known_after=False, progress=print, belongs=prepared.belongs
    )
    held = class_codes(contract, prepared.holdout[contract.label.name])
    answers = predict(model, encode_frame(best.encoding, prepared.holdout))
    for where, truth, chances in (("out of fold", labels, out_of_fold), ("hold-out", held, answers)):
        known = figures(truth, chances)
        said = ", ".join(f"{figure} {known[figure]:.3f}" for figure in SHOWN)
        print(f"{name}, {where}: {len(truth):,} rows, {truth.mean():.1%} {contract.positive}; {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=40)
    said = parser.parse_args()
    contract = load_contract(CONTRACT)
    frame = pd.read_csv(said.file)
    frame["made"] = months(frame)
    column = Column(name="made", type="integer", role="ignored")
    dated = msgspec.structs.replace(contract, columns=(*contract.columns, column))
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.parquet"
        frame.to_parquet(table)
        of_split("at random", table, dated, said.seconds)
        of_split("the time after", table, msgspec.structs.replace(dated, split=Split(time="made")), said.seconds)


if __name__ == "__main__":
    main()
