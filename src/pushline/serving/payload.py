"""Requests as the contract allows them: decoded and validated in one pass, explained in a second one where they are not.

The quick pass is a msgspec decoder whose types are made from the contract, so that types, sets, ranges, unknown and
missing columns are checked while the JSON is read. A value of a set is decoded to a member of an enumeration that *is*
the float of its code (`Code`), so that a decoded row needs no further look-up. Whatever that pass refuses, or can't be
sure of, goes through `careful`, which finds every fault with its row and column.
"""

import enum
import json
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pushline.data.contract import Column, Contract
from pushline.data.contract.dates import DATE_EXAMPLES, hours_of, hours_or_none
from pushline.data.contract.encoding import MISSING_CATEGORY, Encoding
from pushline.serving.problems import ERRORS_AT_MOST, Problem, RowError, quoted

LARGEST = 3.4e38  # what float32, the type of the matrix, can hold

Row = dict[str, Any]


class Code(float, enum.Enum):
    """A value of a set that is the float of its position: msgspec looks it up by the value, the matrix takes the float."""

    def __new__(cls, code: float, value: str) -> "Code":
        member = float.__new__(cls, code)
        member._value_ = value
        return member

    def __repr__(self) -> str:
        return repr(self._value_)


class Payload:
    """The requests of one model: `quick` for the usual one, `careful` for the rest."""

    def __init__(self, contract: Contract, encoding: Encoding, *, max_rows: int) -> None:
        self.contract = contract
        self.max_rows = max_rows
        self.names = encoding.names
        self.columns = tuple(contract.by_name[name] for name in self.names)
        self.required = tuple(column.name for column in self.columns if not column.optional)
        self.unused = tuple(column.name for column in contract.inputs if column.name not in self.names)
        self.allowed_names = frozenset(column.name for column in contract.inputs)
        self.faults_of_value = {column.name: checker(column) for column in self.columns}
        self.decode = self.decoder()
        optional = [i for i, column in enumerate(self.columns) if column.optional]
        spare = range(len(self.names), len(self.names) + len(self.unused))
        self.members_a_row = len(self.names) - len(optional)
        self.may_be_absent = tuple(f"c{position}" for position in (*optional, *spare))
        words = [column.type in ("string", "boolean") for column in self.columns]
        self.missing = [(i, MISSING_CATEGORY if words[i] else math.nan) for i in optional]
        self.open = [i for i, column in enumerate(self.columns) if column.type == "string" and not column.closed]
        self.tables = encoding.tables
        self.dates = [(i, column.type) for i, column in enumerate(self.columns) if column.is_date]
        self.plain = not self.missing and not self.open and not self.dates  # a decoded row is the matrix's row as it is

    def decoder(self) -> Callable[[bytes], Any]:
        """The decoder of `request_type`; one that always fails where a column's name can't be a struct's field, so that all is careful."""
        if any(sign in '"\\' or sign < " " for name in (*self.names, *self.unused) for sign in name):

            def never(body: bytes) -> Any:
                raise msgspec.DecodeError

            return never
        return msgspec.json.Decoder(self.request_type()).decode

    def request_type(self) -> type[Struct]:
        """`{"data": [row, …]}` with the matrix's columns first, in its order; what may be absent is then UNSET."""
        fields: list[Any] = []
        for position, column in enumerate(self.columns):
            kind = type_of(column)
            fields.append((f"c{position}", kind | None | UnsetType, UNSET) if column.optional else (f"c{position}", kind))
        fields += [(f"c{i + len(self.columns)}", msgspec.Raw | UnsetType, UNSET) for i in range(len(self.unused))]
        names = {f"c{i}": name for i, name in enumerate((*self.names, *self.unused))}
        row = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False)
        return msgspec.defstruct("Request", [("data", list[row])], forbid_unknown_fields=True, gc=False)  # type: ignore[valid-type]

    def quick(self, body: bytes) -> list[Any] | None:
        """The rows of a request as structs, columns of the matrix first; None where only the careful pass can tell.

        A member that appears twice would be read as its last value. Members are counted by their colons, so one too
        many, or a colon inside a text, sends the request to the careful pass.
        """
        try:
            rows: list[Any] = self.decode(body).data
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        count = len(rows)
        colons = 1 + count * self.members_a_row
        for field in self.may_be_absent:
            for row in rows:
                if getattr(row, field) is not UNSET:
                    colons += 1
        for position, kind in self.dates:
            texts = (getattr(row, f"c{position}") for row in rows)
            if any(isinstance(text, str) and hours_or_none(text, kind) is None for text in texts):
                return None
        if body.count(b":") != colons or not 0 < count <= self.max_rows:
            return None
        return rows

    def settled(self, values: tuple[Any, ...]) -> list[float]:
        """The values of a decoded row, with those that are missing or of an open set as the encoding writes them."""
        settled = list(values[: len(self.columns)])
        for position, kind in self.dates:
            if isinstance(settled[position], str):
                settled[position] = hours_of(settled[position], kind)
        for position, value in self.missing:
            if settled[position] is None or settled[position] is UNSET:
                settled[position] = value
        for position in self.open:
            settled[position] = (self.tables[position] or {}).get(settled[position], MISSING_CATEGORY)
        return settled

    def careful(self, body: bytes) -> list[Row]:
        """The rows of a request. Raises Problem with every fault, by row and column."""
        content = parse(body)
        if not isinstance(content, dict) or not isinstance(content.get("data"), list) or len(content) != 1:
            raise Problem("invalid-rows", self.shape_fault(content))
        rows: list[Row] = content["data"]
        if not rows:
            raise Problem("invalid-rows", "data holds no row; at least one is expected.")
        if len(rows) > self.max_rows:
            raise Problem("too-many-rows", f"data holds {len(rows)} rows; a request may hold {self.max_rows}. Send several requests.")
        errors: list[RowError] = []
        for position, row in enumerate(rows):
            self.check_row(position, row, errors)
            if len(errors) > ERRORS_AT_MOST:
                break
        if errors:
            raise Problem("invalid-rows", detail_of(errors), errors=errors)
        return rows

    def shape_fault(self, content: Any) -> str:
        if not isinstance(content, dict):
            return f'The body is {kind_of(content)}; an object {{"data": [rows]}} is expected.'
        if "data" not in content:
            return 'The body has no member "data"; {"data": [rows]} is expected.'
        extra = [name for name in content if name != "data"]
        if extra:
            return f'The body has a member {quoted(extra[0])}; only "data" is expected.'
        return f"data is {kind_of(content['data'])}; a list of rows is expected."

    def check_row(self, position: int, row: Any, errors: list[RowError]) -> None:
        if not isinstance(row, dict):
            message = f"is {kind_of(row)}; an object with a member for each column is expected"
            errors.append(RowError(row=position, message=message))
            return
        for name in row:
            if name not in self.allowed_names:
                column = name if name.isprintable() and len(name) <= 60 else quoted(name)
                what = "is what the model predicts" if name == self.contract.label.name else "is not a column of the contract"
                errors.append(RowError(row=position, column=column, message=what))
                if len(errors) > ERRORS_AT_MOST:
                    return
        for name in self.required:
            if name not in row:
                errors.append(RowError(row=position, column=name, message="is missing"))
        for name, fault_of in self.faults_of_value.items():
            if name in row and (fault := fault_of(row[name])):
                errors.append(RowError(row=position, column=name, message=fault))


def type_of(column: Column) -> Any:
    """The type msgspec validates a feature with."""
    if column.is_text:
        return Code("Values", {f"v{i}": (float(i), value) for i, value in enumerate(column.allowed or ())}) if column.closed else str  # type: ignore[arg-type]
    if column.type == "boolean":
        return bool
    low, high = bounds_of(column)
    if column.type == "number":
        return Annotated[float, Meta(ge=low, le=high)]
    return Annotated[int, Meta(ge=math.ceil(max(low, -(2**63))), le=math.floor(min(high, 2**63 - 1)))]


def bounds_of(column: Column) -> tuple[float, float]:
    low = -LARGEST if column.minimum is None else column.minimum
    high = LARGEST if column.maximum is None else column.maximum
    return max(low, -LARGEST), min(high, LARGEST)


def checker(column: Column) -> Callable[[Any], str]:
    """A function that says what is wrong with a value of a feature; an empty string where nothing is."""
    if column.is_text or column.type == "boolean":
        return lambda value: fault_of_word(column, value)
    return lambda value: fault_of_number(column, value)


def fault_of_word(column: Column, value: Any) -> str:
    if value is None and column.optional:
        return ""
    if column.type == "boolean":
        return "" if isinstance(value, bool) else f"is {kind_of(value)}; true or false is expected"
    if not isinstance(value, str):
        return f"is {kind_of(value)}; a string is expected"
    if column.is_date and hours_or_none(value, column.type) is None:
        return f"is {quoted(value)}; a {column.type} such as {DATE_EXAMPLES[column.type]} is expected"
    if column.allowed is not None and column.closed and value not in column.allowed:
        return f"is {quoted(value)}; allowed are {', '.join(column.allowed)}"
    return ""


def fault_of_number(column: Column, value: Any) -> str:
    if value is None and column.optional:
        return ""
    wanted = "a whole number" if column.type == "integer" else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {kind_of(value)}; {wanted} is expected"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is too large; {wanted} is expected"
    if column.type == "integer" and value != int(value):
        return f"is {quoted(value)}; a whole number is expected"
    low, high = bounds_of(column)
    if value < low:
        return f"is {quoted(value)}; at least {low:g} is expected"
    if value > high:
        return f"is {quoted(value)}; at most {high:g} is expected"
    return ""


def parse(body: bytes) -> Any:
    """The JSON of a body, in which no member appears twice and every number is one. Raises Problem."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=members, parse_constant=refuse_constant)
    except UnicodeDecodeError as error:
        raise Problem("malformed-json", f"The body is not UTF-8 (byte {error.start}).") from error
    except RecursionError as error:
        raise Problem("malformed-json", "The body is nested too deeply.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem("malformed-json", f"The body is not JSON: {error.msg} ({where}).") from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise Problem("malformed-json", "The body holds a number with too many digits.") from error


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Problem("malformed-json", f"The member {quoted(twice)} appears twice in one object.")
    return found


def refuse_constant(name: str) -> NoReturn:
    raise Problem("malformed-json", f"The body is not JSON: {name} is not a JSON number.")


def kind_of(value: Any) -> str:
    """What JSON calls a value, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds: dict[type, str] = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds[type(value)]


def detail_of(errors: Sequence[RowError]) -> str:
    first = errors[0]
    place = f"row {first.row}" + (f", column {first.column}" if first.column else "")
    more = len(errors) - 1
    said = f" {more} more in `errors`." if 0 < more < ERRORS_AT_MOST else f" At least {more} more." if more else ""
    return f"{place}: {first.message}.{said}"
