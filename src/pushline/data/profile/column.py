"""The histogram of one column."""

from typing import Literal

from msgspec import Struct


class ColumnProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The histogram of one column; `counts` and `missing` are by class, in the profile's order of classes."""

    name: str
    kind: Literal["number", "category", "free"]  # free: identifiers and text without a list of values, of which nothing is kept
    decimals: int = 0
    values: tuple[str, ...] = ()  # of a category
    low: tuple[float, ...] = ()  # of a number: each cell holds the values from low to high
    high: tuple[float, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def cells(self) -> int:
        return len(self.values) if self.kind == "category" else len(self.low)
