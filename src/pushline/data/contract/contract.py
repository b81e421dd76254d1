"""`data_checks/contract.yml`: what each column is, said once."""

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from pushline.data.contract.column import Column
from pushline.data.contract.dates import hours_or_none
from pushline.data.contract.derived import ExpressionError, parse_expression
from pushline.errors import ContractError
from pushline.settings import Share

RESERVED = ("__row", "file_row_number")  # columns of the view the checks run on
FILE = "contract.schema.json"


class Derived(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A feature computed from a row's own columns; it travels inside the model."""

    name: Annotated[str, Meta(min_length=1, description="of the feature, in reports")]
    expression: Annotated[str, Meta(min_length=1, description="over the feature columns, such as `age / 10`; see data/derived.py")]
    description: Annotated[str, Meta(description="what the value means")] = ""


class Split(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which rows are held out, where it is not left to each row's features. Search, calibration and threshold go the same way."""

    group: Annotated[
        str | None, Meta(description="column: all rows of one value are on one side, so figures are for values never seen")
    ] = None
    time: Annotated[
        str | None, Meta(description="column of numbers or ISO dates: the newest rows are held out, so figures are for the time after")
    ] = None
    embargo: Annotated[
        float,
        Meta(ge=0, description="with `time`: nothing is learned from rows so shortly before the held-out ones; days, or the column's unit"),
    ] = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it goes by, the group first."""
        return tuple(name for name in (self.group, self.time) if name is not None)


class Contract(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """The whole table."""

    name: Annotated[str, Meta(description="of the data set", pattern=r"^[a-z][a-z0-9-]*$")]
    title: Annotated[str, Meta(description="of the data set, for people")] = ""
    description: Annotated[str, Meta(description="what one row is and what the label says")] = ""
    licence: Annotated[str, Meta(description="licence of the data")] = ""
    source: Annotated[str, Meta(description="who made the data")] = ""
    limits: Annotated[tuple[str, ...], Meta(description="known limits of the data, a sentence each, for the model card")] = ()
    task: Annotated[Literal["classification", "regression"], Meta(description="what the label is: one of a few classes, or a quantity")] = (
        "classification"
    )
    positive: Annotated[str | None, Meta(description="the label's value that is predicted; none for more than two classes")] = None
    delimiter: Annotated[str, Meta(description="between the fields of a CSV file", pattern=r"^[,;|\t]$")] = ","
    rows_at_least: Annotated[int, Meta(ge=1, description="fewer rows are critical")] = 1
    duplicates_at_most: Annotated[Share, Meta(description="tolerated share of repeated rows; more is a warning")] = 0.01
    rarest_class_at_least: Annotated[Share, Meta(description="smaller share of any class is critical")] = 0.01
    columns: tuple[Column, ...]
    derived: Annotated[tuple[Derived, ...], Meta(description="features computed from the columns, part of the model")] = ()
    split: Annotated[Split | None, Meta(description="which rows are held out; by default each row's features decide")] = None

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def label(self) -> Column:
        return next(column for column in self.columns if column.role == "label")

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The label's values, the positive one last where there are two; none for a quantity."""
        values = self.label.allowed or ()
        if self.positive is None:
            return values
        return (*(value for value in values if value != self.positive), self.positive)

    @property
    def is_regression(self) -> bool:
        return self.task == "regression"

    @cached_property
    def inputs(self) -> tuple[Column, ...]:
        """All columns but the label: what a request may hold."""
        return tuple(column for column in self.columns if column.role != "label")

    def features(self, *, use_known_after: bool = False) -> tuple[Column, ...]:
        """The columns a model is trained on."""
        return tuple(c for c in self.columns if c.role == "feature" and (use_known_after or c.known == "before"))

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits that change with any part of the contract."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


def load_contract(file: Path) -> Contract:
    """The contract in `file` (YAML, or JSON as a model folder holds it).

    Raises ContractError naming the place and what is accepted there.
    """
    try:
        return parse_contract(msgspec.yaml.decode(file.read_text(encoding="utf-8")), file.name)
    except FileNotFoundError as error:
        raise ContractError(f"{file} does not exist.", do="Restore it from git, or make one with `pushline adopt`.") from error
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise ContractError(f"{file} can't be read.", why=str(error), do="Correct the file.") from error


def parse_contract(content: Any, name: str = "contract.yml") -> Contract:
    """The contract in a parsed document. Raises ContractError."""
    try:
        contract = msgspec.convert(content, Contract)
    except msgspec.ValidationError as error:
        keys = "`pushline docs contract` lists every key with its type and meaning."
        words = "YAML takes yes, no, on and off for true and false: put such a word in quotes. " if "got `bool`" in str(error) else ""
        raise ContractError(f"{name} is not a valid contract.", why=f"{error}.", do=words + keys) from error
    faults = contract_faults(contract)
    if faults:
        raise ContractError(f"{name} contradicts itself.", why="; ".join(faults) + ".", do="Correct these columns.")
    return contract


def contract_faults(contract: Contract) -> list[str]:
    """What the types alone can't hold: contradictions within a column and between columns."""
    faults = []
    names = [column.name for column in contract.columns]
    faults += [f"{name} appears twice" for name in sorted({name for name in names if names.count(name) > 1})]
    plain = [name.casefold() for name in dict.fromkeys(names)]
    faults += [f"{name} appears in two spellings that differ in case only" for name in sorted({n for n in plain if plain.count(n) > 1})]
    faults += [f"{name} is a name the checks use themselves" for name in names if name.casefold() in RESERVED]
    labels = [column for column in contract.columns if column.role == "label"]
    if len(labels) != 1:
        faults.append(f"exactly one column has the role label, not {len(labels)}")
    elif contract.is_regression:
        faults += quantity_faults(labels[0], contract)
    elif not labels[0].allowed or len(labels[0].allowed) < 2:
        faults.append(f"the label {labels[0].name} lists at least two allowed values")
    elif contract.positive is not None and contract.positive not in labels[0].allowed:
        faults.append(f"positive {contract.positive!r} is not an allowed value of {labels[0].name}")
    elif contract.positive is None and len(labels[0].allowed) == 2:
        faults.append("a label of two values needs `positive`")
    elif contract.positive is not None and len(labels[0].allowed) > 2:
        faults.append("`positive` goes with a label of two values")
    for column in contract.columns:
        faults += faults_of_column(column)
    faults += derived_faults(contract, names)
    faults += split_faults(contract)
    if not any(column.role == "feature" for column in contract.columns):
        faults.append("at least one column has the role feature")
    return faults


def quantity_faults(label: Column, contract: Contract) -> list[str]:
    """A label that is no quantity, or keys that speak of classes."""
    faults = []
    if label.type not in ("integer", "number"):
        faults.append(f"the label {label.name} of a regression is of type integer or number")
    if label.allowed is not None or contract.positive is not None:
        faults.append("`allowed` of the label and `positive` go with classes, not with `task: regression`")
    return faults


def faults_of_column(column: Column) -> list[str]:
    """Contradictions within one column."""
    faults = []
    low, high = column.minimum, column.maximum
    if column.allowed is not None:
        if column.type not in ("string", "boolean") and column.role != "label":
            faults.append("`allowed` goes with the type string")
        if not column.allowed:
            faults.append("no value is allowed")
        if len(set(column.allowed)) != len(column.allowed):
            faults.append("a value is allowed twice")
        faults += [f"allowed value {value!r} is no {column.type}" for value in column.allowed if not is_written_as(value, column.type)]
    if column.other and (column.type != "string" or not column.optional or column.allowed is None or column.role == "label"):
        faults.append("`other` goes with `allowed` of a string column that is no label, and with `missing_at_most` above 0")
    if column.unknown is not None and column.unknown not in (column.allowed or ()):
        faults.append(f"unknown {column.unknown!r} is not among `allowed`")
    if column.unknown is None and column.unknown_at_most < 1:
        faults.append("`unknown_at_most` goes with `unknown`")
    if column.type not in ("integer", "number") and (low, high) != (None, None):
        faults.append("bounds go with the types integer and number")
    if any(bound is not None and not math.isfinite(bound) for bound in (low, high)):
        faults.append("bounds are finite; leave one out where there is none")
    if low is not None and high is not None and low > high:
        faults.append(f"minimum {low:g} is above maximum {high:g}")
    if column.parts is not None and (not column.is_date or not column.parts or ("hour" in column.parts and column.type == "date")):
        faults.append("`parts` goes with the types date and datetime, names one at least, and the hour goes with datetime")
    if column.example is not None and not fits(column.example, column):
        faults.append(f"example {column.example!r} is not a value of this column")
    return [f"{column.name}: {fault}" for fault in faults]


def is_written_as(value: str, kind: str) -> bool:
    """Whether a text is a value of the type as the checks write one."""
    if kind == "boolean":
        return value in ("false", "true")
    try:
        return kind == "string" or (math.isfinite(float(value)) and (kind == "number" or str(int(value)) == value))
    except ValueError:
        return False


def fits(value: str | int | float | bool, column: Column) -> bool:
    """Whether a value is of the column's type, allowed, and within its bounds."""
    if column.is_date:
        return hours_or_none(value, column.type) is not None
    kinds = {"integer": (int,), "number": (int, float), "string": (str,), "boolean": (bool,)}
    if not isinstance(value, kinds[column.type]) or (isinstance(value, bool) and column.type != "boolean"):
        return False
    if (
        column.allowed is not None
        and column.closed
        and (str(value).lower() if column.type == "boolean" else str(value)) not in column.allowed
    ):
        return False
    if isinstance(value, str):
        return True
    return (column.minimum is None or value >= column.minimum) and (column.maximum is None or value <= column.maximum)


def split_faults(contract: Contract) -> list[str]:
    """A split by a column that can't decide."""
    split = contract.split
    if split is None:
        return []
    faults = [] if split.columns else ["split names `group`, `time` or both"]
    faults += ["split.embargo goes with `time`"] if split.embargo and split.time is None else []
    faults += ["split names one column as `group` and as `time`"] if split.group is not None and split.group == split.time else []
    for name in split.columns:
        column = contract.by_name.get(name)
        if column is None:
            faults.append(f"split names {name}, which is no column")
        elif column.role == "label":
            faults.append(f"split names {name}, which is the label")
        elif column.optional:
            faults.append(f"split names {name}, which may be empty")
        elif name == split.time and column.type == "boolean":
            faults.append("split.time names a boolean")
    return faults


def derived_faults(contract: Contract, names: list[str]) -> list[str]:
    """Derived features that mean nothing, or are called like something else."""
    faults = []
    columns = {column.name: column for column in contract.features(use_known_after=True)}
    taken = set(names)
    for derived in contract.derived:
        if derived.name in taken:
            faults.append(f"derived {derived.name}: the name is taken")
        taken.add(derived.name)
        try:
            parse_expression(derived.expression, columns)
        except ExpressionError as error:
            faults.append(f"derived {derived.name}: {error}")
    return faults


def contract_schema() -> dict[str, Any]:
    """The schema of the typed model, with its definitions."""
    (reference,), definitions = msgspec.json.schema_components([Contract], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Pushline contract",
        **reference,
        "$defs": definitions,
    }


def schema_file() -> bytes:
    """The schema as it lies beside the contract: for editors, so in one line."""
    return msgspec.json.encode(contract_schema(), order="deterministic") + b"\n"
