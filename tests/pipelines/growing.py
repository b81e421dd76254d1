"""Parts of the real file as data of their own."""

from collections import Counter
from pathlib import Path


def part_of(real: Path, to: Path, first: float, last: float, *, wrong: bool = False) -> Path:
    """The rows of `real` between two shares of it, with the right labels or with `wrong_labels`."""
    header, *rows = real.read_text(encoding="utf-8").splitlines()
    taken = rows[int(len(rows) * first) : int(len(rows) * last)]
    taken = wrong_labels(taken) if wrong else taken
    to.write_text("\n".join([header, *taken]) + "\n", encoding="utf-8")
    return to


def wrong_labels(rows: list[str]) -> list[str]:
    """The rarer label (the last column) for as many rows as had it, but for others: no share tells it, and no column alone.

    They are some of those with the most frequent value of the column before the label and more than the median in the first.
    """
    cells = [row.split(",") for row in rows]
    (usual, _), (rarer, few) = Counter(row[-1] for row in cells).most_common()
    frequent, middle = Counter(row[-2] for row in cells).most_common(1)[0][0], sorted(row[0] for row in cells)[len(cells) // 2]
    chosen = set([place for place, row in enumerate(cells) if row[-2] == frequent and row[0] > middle][:few])
    assert len(chosen) == few
    return [",".join([*row[:-1], rarer if place in chosen else usual]) for place, row in enumerate(cells)]
