"""Whether the loss that a hold-out reports is the loss in use: on worlds whose truth is known, split as `adopt` proposes and at random.

The model is the same everywhere, boosted trees with fixed settings in place of the search, so what differs is the split alone.
`make bench-estimates` writes docs/bench/estimates.md; it takes some minutes. `--print` writes no page.
"""

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from estimate_worlds import WORLDS, World

from pushline.adopt.draft import AdoptRequest, Draft, draft_of
from pushline.adopt.split import shown
from pushline.adopt.text_table import read_text_table
from pushline.data.contract import Contract
from pushline.data.contract.encoding import encode_frame, encoding_of, targets_of
from pushline.project import Project
from pushline.training.features import compute, features_of
from pushline.training.prepare import prepare

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "bench" / "estimates.md"
WITHIN = 1.15
HEAD = """\
# Whether estimates hold

Made by `make bench-estimates`. Each world makes a table with known truth: what its model meets in use can be made too. `adopt` reads
the table and proposes a split; a fixed model (boosted trees in place of the search) learns from the training rows. *reported* is its
log loss, or RMSE of a quantity, on the hold-out; *in use* is that on 20,000 rows that come afterwards: other rows, other customers,
the days after. *÷* is the one by the other; 1 is right, below 1 flatters. The last column is the same for a hold-out of a tenth
drawn at random.

| world | | `adopt` proposes | reported | in use | ÷ | ÷ at random |
| --- | --- | --- | --: | --: | --: | --: |
"""


@dataclass(frozen=True)
class Result:
    """The losses of one world."""

    world: World
    split: str
    reported: float
    in_use: float
    at_random: float  # reported by the loss in use, with a split at random

    @property
    def ratio(self) -> float:
        return self.reported / self.in_use

    @property
    def line(self) -> str:
        figures = f"{self.reported:.3g} | {self.in_use:.3g} | {self.ratio:.2f} | {self.at_random:.2f}"
        return f"| {self.world.name} | {self.world.kind} | {self.split} | {figures} |"


class Fitted:
    """The fixed model on these rows."""

    def __init__(self, frame: Any, contract: Contract) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        self.contract, self.encoding = contract, encoding_of(contract.features())
        self.features = features_of(contract, self.encoding)
        makes = HistGradientBoostingRegressor if contract.is_regression else HistGradientBoostingClassifier
        self.model = makes(max_iter=80, max_leaf_nodes=15, early_stopping=False, random_state=0)
        self.model.fit(self.matrix(frame), targets_of(contract, frame[contract.label.name]))

    def matrix(self, frame: Any) -> Any:
        return compute(encode_frame(self.encoding, frame), self.features, self.encoding)

    def loss(self, frame: Any) -> float:
        """Log loss, or RMSE."""
        truth = targets_of(self.contract, frame[self.contract.label.name])
        if self.contract.is_regression:
            return float(np.sqrt(np.mean((self.model.predict(self.matrix(frame)) - truth) ** 2)))
        chances = self.model.predict_proba(self.matrix(frame))[np.arange(len(truth)), truth]
        return float(-np.log(np.clip(chances, 1e-6, 1)).mean())


def adopted(world: World, folder: Path) -> Draft:
    """What adopt drafts of the world's table."""
    file, scratch = folder / "world.csv", folder / "scratch"
    scratch.mkdir()
    world.table().to_csv(file, index=False)
    request = AdoptRequest(file=file, label="y")
    return draft_of(Project(folder), request, read_text_table(file, scratch), scratch, None, None)


def result_of(world: World) -> Result:
    """Adopt the world's table, split it both ways, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draft = adopted(world, folder)
        typed = folder / "scratch" / "typed.parquet"
        prepared = prepare(typed, draft.contract, holdout=draft.holdout)
        plain = msgspec.structs.replace(draft.contract, split=None)
        rows = pd.read_parquet(typed)
    later = world.in_use()
    model = Fitted(prepared.train, draft.contract)
    held = np.random.default_rng(0).random(len(rows)) < 0.1
    drawn = Fitted(rows[~held], plain)
    return Result(
        world=world,
        split=f"by {shown(draft.contract.split)}",
        reported=model.loss(prepared.holdout),
        in_use=model.loss(later),
        at_random=drawn.loss(rows[held]) / drawn.loss(later),
    )


def page(results: list[Result]) -> str:
    worst = max(max(each.ratio, 1 / each.ratio) for each in results)
    drawn = max(max(each.at_random, 1 / each.at_random) for each in results)
    right = sum(max(each.ratio, 1 / each.ratio) <= WITHIN for each in results)
    said = f"\n{right} of {len(results)} are within {WITHIN:g} times of the truth, the worst is {worst:.2f} times off; "
    said += f"at random the worst is {drawn:.1f} times off.\n"
    return HEAD + "\n".join(each.line for each in results) + "\n" + said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--print", action="store_true", help="write no page")
    parser.add_argument("--world", action="append", help="of these names only")
    said = parser.parse_args()
    results = []
    for world in WORLDS:
        if said.world and world.name not in said.world:
            continue
        results.append(result_of(world))
        print(results[-1].line, flush=True)
    if not said.print and not said.world and results and not math.isnan(results[0].ratio):
        PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
