"""The parts of a date as nodes over its hours since 1970-01-01 (data/contract/dates.py), in whole numbers.

The month follows from the days as in Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is the last.
"""

import numpy as np

from pushline.training.nodes import Nodes

MARCH_OF_YEAR_0 = 719468  # days before 1970-01-01
DAYS_OF_400_YEARS = 146097


class DateNodes:
    """Writes the parts of one date, which is float32 [rows, 1]."""

    def __init__(self, nodes: Nodes, hours: str) -> None:
        self.nodes, self.hours = nodes, hours
        self.missing = nodes.add("IsNaN", [hours])
        known = nodes.add("Where", [self.missing, nodes.constant([[0.0]]), hours])
        self.days = nodes.add("Floor", [nodes.add("Div", [known, nodes.constant([[24.0]])])])
        self.of_day = nodes.add("Floor", [nodes.add("Sub", [known, nodes.add("Mul", [self.days, nodes.constant([[24.0]])])])])
        self.day = self.whole("Add", nodes.add("Cast", [self.days], to=7), MARCH_OF_YEAR_0)

    def whole(self, operator: str, one: str, other: str | int) -> str:
        return self.nodes.add(operator, [one, self.nodes.constant([[other]], np.int64) if isinstance(other, int) else other])

    def part(self, name: str) -> str:
        """The part as float32 [rows, 1]; missing where the date is."""
        if name == "days":
            return self.nodes.add("Div", [self.hours, self.nodes.constant([[24.0]])])
        number = self.of_day if name == "hour" else self.nodes.add("Cast", [self.of_calendar(name)], to=1)
        return self.nodes.add("Where", [self.missing, self.nodes.constant([[np.nan]]), number])

    def of_calendar(self, name: str) -> str:
        """Year, month, day or weekday as int64."""
        whole = self.whole
        if name == "weekday":
            return whole("Mod", whole("Add", self.day, 2), 7)
        era = whole("Div", self.day, DAYS_OF_400_YEARS)
        of_era = whole("Sub", self.day, whole("Mul", era, DAYS_OF_400_YEARS))
        four, centuries, eras = (whole("Div", of_era, days) for days in (1460, 36524, DAYS_OF_400_YEARS - 1))
        year = whole("Div", whole("Sub", whole("Add", whole("Sub", of_era, four), centuries), eras), 365)
        before = whole("Sub", whole("Add", whole("Mul", year, 365), whole("Div", year, 4)), whole("Div", year, 100))
        of_year = whole("Sub", of_era, before)
        since_march = whole("Div", whole("Add", whole("Mul", of_year, 5), 2), 153)
        if name == "day":
            months = whole("Div", whole("Add", whole("Mul", since_march, 153), 2), 5)
            return whole("Add", whole("Sub", of_year, months), 1)
        month = whole("Add", whole("Mod", whole("Add", since_march, 2), 12), 1)
        if name == "month":
            return month
        early = self.nodes.add("Cast", [self.nodes.add("LessOrEqual", [month, self.nodes.constant([[2]], np.int64)])], to=7)
        return whole("Add", whole("Add", year, whole("Mul", era, 400)), early)
