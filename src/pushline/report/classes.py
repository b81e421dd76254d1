"""More than two classes, one by one: what the confusion matrix and the curves say of each."""

from typing import NamedTuple

from pushline.evaluation import Evaluation
from pushline.report.charts import reached


class ClassRow(NamedTuple):
    """One class on the hold-out; None where nothing can be said."""

    name: str
    rows: int
    predicted: int
    recall: float | None
    precision: float | None
    lift: float | None  # how much denser it is among the tenth of the rows with its highest scores
    mistaken_for: str  # the class that most of its missed rows are taken for

    @property
    def is_missed(self) -> bool:
        """True where it is there and no row of it is found."""
        return self.rows > 0 and not self.recall


def rows_of(known: Evaluation) -> list[ClassRow]:
    """The largest class first; nothing for two classes, whose figures stand at the threshold."""
    if len(known.classes) < 3 or len(known.confusion) != len(known.classes):
        return []
    gains = {curves.name: curves.gain for curves in known.curves if curves.rows}
    found = []
    for number, name in enumerate(known.classes):
        row, taken = known.confusion[number], sum(line[number] for line in known.confusion)
        others = [(count, place) for place, count in enumerate(row) if place != number and count]
        found.append(
            ClassRow(
                name=name,
                rows=sum(row),
                predicted=taken,
                recall=row[number] / sum(row) if sum(row) else None,
                precision=row[number] / taken if taken else None,
                lift=10 * reached(gains[name], 0.1) if name in gains else None,
                mistaken_for=known.classes[max(others, key=lambda pair: (pair[0], -pair[1]))[1]] if others else "",
            )
        )
    return sorted(found, key=lambda one: -one.rows)
