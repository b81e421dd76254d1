"""Files named after their fault, each made by a small function from a sound table, with the root cause it must be told as."""

from collections.abc import Callable
from dataclasses import dataclass

from data.faults.sound import Sound

Make = Callable[[Sound], bytes]


@dataclass(frozen=True)
class Fault:
    """One faulty file and the first finding it must give."""

    make: Make
    root: str
    column: str | None = None
    lines: tuple[int, ...] = ()
    severity: str = "critical"
    suffix: str = ".csv"
    reads_rows: bool = False  # the whole suite runs on it
    most: int = 1  # findings in all

    @property
    def file(self) -> str:
        return self.make.__name__.replace("_", "-") + self.suffix


FAULTS: list[Fault] = []


def fault(root: str, **expected: object) -> Callable[[Make], Make]:
    """Register the function that makes a faulty file."""

    def register(make: Make) -> Make:
        FAULTS.append(Fault(make, root, **expected))  # type: ignore[arg-type]
        return make

    return register


from data.faults import cells, exports, files, headers, rows, values  # noqa: E402, F401  they register their faults here
