"""A sound table as text, to be spoilt."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd


@dataclass
class Sound:
    """Header and rows as the fields of a CSV file."""

    names: list[str]
    rows: list[list[str]]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Sound":
        return cls(list(frame.columns), [["" if pd.isna(value) else str(value) for value in row] for row in frame.itertuples(index=False)])

    def copy(self) -> "Sound":
        return Sound(list(self.names), [list(row) for row in self.rows])

    def set(self, line: int, column: str, value: str) -> "Sound":
        """Change one cell; the header is line 1."""
        self.rows[line - 2][self.names.index(column)] = value
        return self

    def change(self, column: str, new: Callable[[str], str]) -> "Sound":
        """Change every cell of a column."""
        position = self.names.index(column)
        for row in self.rows:
            row[position] = new(row[position])
        return self

    def where(self, column: str, keep: Callable[[str], bool]) -> "Sound":
        """Keep some rows only."""
        position = self.names.index(column)
        self.rows = [row for row in self.rows if keep(row[position])]
        return self

    def text(self, delimiter: str = ",", end: str = "\r\n", *, header: bool = True) -> str:
        stream = io.StringIO(newline="")
        csv.writer(stream, delimiter=delimiter, lineterminator=end).writerows([self.names] * header + self.rows)
        return stream.getvalue()

    def csv(self, delimiter: str = ",", end: str = "\r\n", *, header: bool = True) -> bytes:
        return self.text(delimiter, end, header=header).encode()

    def lines(self) -> list[str]:
        """The file's lines without their ends; line 1 is at 0."""
        return self.text(end="\n").splitlines()


def joined(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()
