"""A new draft beside what people made of the old one: their words stay, what the table changed is proposed."""

from typing import Any

import msgspec

from pushline.data.contract import Column, Contract, Derived, contract_faults, fits
from pushline.data.contract.derived import ExpressionError, parse_expression
from pushline.errors import SettingsError
from pushline.results import Scalar

WHOLE = ("title", "description", "licence", "source", "rows_at_least", "duplicates_at_most", "rarest_class_at_least")


def merged(base: Contract, ours: Contract, new: Contract) -> tuple[Contract, tuple[str, ...]]:
    """The contract to propose, and in words what was kept although the table says otherwise.

    `base`: the last draft, `ours`: what stands in the repository, `new`: the draft of today. A key that people changed
    keeps their value; one that they left alone takes the new one. Columns the table lost go, new ones come as drafted.
    """
    kept: list[str] = []
    columns = []
    for column in new.columns:
        mine, before = ours.by_name.get(column.name), base.by_name.get(column.name)
        if mine is None or before is None:
            columns.append(column if mine is None else mine)
        else:
            values, said = keys(plain(before), plain(mine), plain(column))
            kept += [f"{column.name}: {each}" for each in said]
            columns.append(with_fitting_example(msgspec.convert(values, Column)))
    whole, said = keys(*({key: plain(one).get(key) for key in WHOLE} for one in (base, ours, new)))
    derived, gone = derived_of(ours, {column.name: column for column in columns if column.role == "feature"})
    proposal = msgspec.structs.replace(
        new,
        **{key: value for key, value in whole.items() if value is not None},
        columns=tuple(columns),
        derived=derived,
        split=ours.split,
        limits=ours.limits,
        name=ours.name,
    )
    faults = contract_faults(proposal)
    if faults:
        raise SettingsError(
            "adopt stopped: the table and data_checks/contract.yml contradict each other.",
            why=f"{'; '.join(faults[:5])}.",
            do="Correct these keys of the contract by what the table now holds, then run the same command again. Nothing was changed.",
        )
    return proposal, (*kept, *said, *gone)


def derived_of(ours: Contract, features: dict[str, Column]) -> tuple[tuple[Derived, ...], list[str]]:
    """The derived features whose columns are all still there, and in words which are not."""
    kept, gone = [], []
    for derived in ours.derived:
        try:
            parse_expression(derived.expression, features)
            kept.append(derived)
        except ExpressionError as error:
            gone.append(f"derived {derived.name} goes: {error}")
    return tuple(kept), gone


def with_fitting_example(column: Column) -> Column:
    """The column without an example that people's bounds or values leave out."""
    return column if column.example is None or fits(column.example, column) else msgspec.structs.replace(column, example=None)


def plain(value: Any) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(value)
    return made


def keys(base: dict[str, Any], ours: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Key by key what to propose, and the keys on which people and the table differ."""
    result, kept = {}, []
    for key in [*new, *(key for key in ours if key not in new)]:
        before, mine, drafted = base.get(key), ours.get(key), new.get(key)
        value = drafted if mine == before else mine
        if mine not in (before, drafted) and drafted != before:
            kept.append(f"{key} stays {shown(mine)}; the table now suggests {shown(drafted)}")
        if value is not None:
            result[key] = value
    return result, kept


def shown(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def merged_settings(base: dict[str, Scalar], ours: dict[str, Any], new: dict[str, Scalar]) -> dict[str, Scalar]:
    """The drafted settings that nobody has changed since the last draft."""
    return {path: value for path, value in new.items() if path not in base or ours.get(path) == base[path]}
