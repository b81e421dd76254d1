"""One column of the contract: its type, its role, and what its values may be."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pushline.data.contract.dates import DatePart
from pushline.results import Severity
from pushline.settings import Share


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column of the table."""

    name: Annotated[str, Meta(min_length=1, description="as in the file's header")]
    type: Annotated[Literal["integer", "number", "string", "boolean", "date", "datetime"], Meta(description="of every value")]
    description: Annotated[str, Meta(description="what the value means, for people and for the API document")] = ""
    unit: Annotated[str, Meta(description="unit of the value")] = ""
    role: Annotated[
        Literal["feature", "label", "identifier", "ignored"],
        Meta(description="features are used by the model; identifiers and ignored columns are accepted and not used"),
    ] = "feature"
    known: Annotated[Literal["before", "after"], Meta(description="after: known only once the outcome is, so training leaves it out")] = (
        "before"
    )
    decides_label: Annotated[bool, Meta(description="this feature is known before the outcome although it alone decides the label")] = False
    reason: Annotated[str, Meta(description="why the role, the moment or the bounds are as they are")] = ""
    allowed: Annotated[tuple[str, ...] | None, Meta(description="every value a string column may hold")] = None
    other: Annotated[bool, Meta(description="values that are not among `allowed` are accepted too; the model takes them as missing")] = (
        False
    )
    minimum: Annotated[float | None, Meta(description="smallest value")] = None
    maximum: Annotated[float | None, Meta(description="largest value")] = None
    unknown: Annotated[str | None, Meta(description="the value (one of `allowed`) that stands for not known")] = None
    unknown_at_most: Annotated[Share, Meta(description="tolerated share of `unknown`; more is a warning")] = 1.0
    missing_at_most: Annotated[Share, Meta(description="tolerated share of empty values; 0: a value is required")] = 0.0
    encodes_time: Annotated[bool, Meta(description="the value identifies when the row was made; drift leaves it out")] = False
    parts: Annotated[
        tuple[DatePart, ...] | None, Meta(description="of a date, what the model learns from; by default month, weekday, hour")
    ] = None
    sensitive: Annotated[bool, Meta(description="figures are also reported per group of this column")] = False
    belongs_with: Annotated[str | None, Meta(description="columns of one such name keep their joint histogram in the profile")] = None
    severity: Annotated[Severity, Meta(description="of findings about values outside `allowed` or the bounds")] = "critical"
    example: Annotated[str | int | float | bool | None, Meta(description="value shown in the API document")] = None

    @property
    def is_text(self) -> bool:
        """Whether files, tables and requests hold its values as text: dates are ISO text."""
        return self.type == "string" or self.is_date

    @property
    def is_date(self) -> bool:
        return self.type in ("date", "datetime")

    @property
    def learned_parts(self) -> tuple[DatePart, ...]:
        """The parts of a date that the model learns from."""
        usual: tuple[DatePart, ...] = ("month", "weekday", "hour") if self.type == "datetime" else ("month", "weekday")
        return () if not self.is_date else usual if self.parts is None else self.parts

    @property
    def closed(self) -> bool:
        """Whether a value that is not among `allowed` is a fault."""
        return self.allowed is not None and not self.other

    @property
    def optional(self) -> bool:
        return self.missing_at_most > 0
