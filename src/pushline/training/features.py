"""Derived features as a part of the model's graph: training, the portable form and the service run the same nodes."""

from collections.abc import Sequence

import numpy as np

from pushline.arrays import Matrix
from pushline.data.contract import Contract
from pushline.data.contract.dates import PARTS
from pushline.data.contract.derived import Term, columns_of, parse_expression
from pushline.data.contract.encoding import MISSING_CATEGORY, Encoding
from pushline.serving.model_folder import MATRIX_INPUT
from pushline.training.nodes import Nodes, floats

FEATURES = "features"  # the matrix with the derived features behind its columns
MARCH_OF_YEAR_0 = 719468  # days before 1970-01-01
DAYS_OF_400_YEARS = 146097


class DateNodes:
    """Writes the parts of one date: its hours since 1970-01-01 (data/contract/dates.py), float32 [rows, 1], in whole numbers.

    The month follows from the days as in Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is the last.
    """

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


class Feature:
    """A derived feature whose columns the model has."""

    def __init__(self, name: str, term: Term) -> None:
        self.name = name
        self.term = term


def features_of(contract: Contract, encoding: Encoding) -> tuple[Feature, ...]:
    """The derived features that need no column outside the encoding (such as one known only after the event), and the parts of dates."""
    columns = {name: contract.by_name[name] for name in encoding.names}
    every = {column.name: column for column in contract.features(use_known_after=True)}
    found = []
    for derived in contract.derived:
        if columns_of(parse_expression(derived.expression, every)) <= columns.keys():
            found.append(Feature(derived.name, parse_expression(derived.expression, columns)))
    for column in columns.values():
        known = Term(operator="column", kind="date", text=column.name)
        parts = (Term(operator=part, kind="number", arguments=(known,)) for part in column.learned_parts)
        found += [Feature(f"{column.name}: {part.operator}", part) for part in parts]
    return tuple(found)


def with_features(nodes: Nodes, features: Sequence[Feature], encoding: Encoding) -> str:
    """Write the features; returns the name of the matrix that the model reads."""
    if not features:
        return MATRIX_INPUT
    writer = Writer(nodes, encoding)
    columns = without_dates(nodes, encoding)
    return nodes.add("Concat", [columns, *(writer.feature(feature.term) for feature in features)], output=FEATURES, axis=1)


def without_dates(nodes: Nodes, encoding: Encoding) -> str:
    """The matrix with 0 in the place of each date: a model learns from the parts, for no date comes again."""
    dates = [column.is_date for column in encoding.columns]
    return nodes.add("Where", [nodes.constant([dates], bool), nodes.constant([[0.0]]), MATRIX_INPUT]) if any(dates) else MATRIX_INPUT


def compute(matrix: Matrix, features: Sequence[Feature], encoding: Encoding) -> Matrix:
    """The matrix with the derived features behind its columns, by the graph that the model will carry."""
    if not features:
        return matrix
    import onnxruntime

    nodes, width = Nodes(), len(encoding.columns)
    with_features(nodes, features, encoding)
    model = nodes.model([floats(MATRIX_INPUT, width)], [floats(FEATURES, width + len(features))])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    computed: Matrix = session.run([FEATURES], {MATRIX_INPUT: matrix})[0]
    return computed


class Writer:
    """Writes terms as nodes over the matrix: numbers as float32 [rows, 1], comparisons as bool [rows, 1]."""

    def __init__(self, nodes: Nodes, encoding: Encoding) -> None:
        self.nodes = nodes
        self.place = {name: place for place, name in enumerate(encoding.names)}
        self.columns: dict[str, str] = {}
        self.dates: dict[str, DateNodes] = {}

    def feature(self, term: Term) -> str:
        """The feature as a number; one that is not finite is missing."""
        value = self.write(term)
        if term.kind == "truth":
            return self.nodes.add("Cast", [value], to=1)
        return self.nodes.add("Where", [self.nodes.add("IsInf", [value]), self.nodes.constant([[np.nan]]), value])

    def write(self, term: Term) -> str:
        if term.operator == "number":
            return self.nodes.constant([[term.value]])
        if term.operator == "column":
            column = self.column(term.text)
            return self.nodes.add("Equal", [column, self.nodes.constant([[1.0]])]) if term.kind == "truth" else column
        if term.operator == "missing":
            return self.missing(term.arguments[0])
        if term.operator in PARTS:
            return self.date(term.arguments[0].text).part(term.operator)
        given = [self.write(argument) for argument in term.arguments]
        if term.operator == "Cast":
            return self.nodes.add("Cast", given, to=1)
        if term.operator == "NotEqual":
            return self.nodes.add("Not", [self.nodes.add("Equal", given)])
        if term.operator == "log1p":
            return self.nodes.add("Log", [self.nodes.add("Add", [given[0], self.nodes.constant([[1.0]])])])
        return self.nodes.add(term.operator, given)

    def column(self, name: str) -> str:
        if name not in self.columns:
            self.columns[name] = self.nodes.add("Gather", [MATRIX_INPUT, self.nodes.constant([self.place[name]], np.int64)], axis=1)
        return self.columns[name]

    def date(self, name: str) -> DateNodes:
        if name not in self.dates:
            self.dates[name] = DateNodes(self.nodes, self.column(name))
        return self.dates[name]

    def missing(self, term: Term) -> str:
        column = self.column(term.text)
        if term.kind in ("number", "date"):
            return self.nodes.add("IsNaN", [column])
        return self.nodes.add("Equal", [column, self.nodes.constant([[MISSING_CATEGORY]])])
