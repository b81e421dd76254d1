"""Rules across columns: `data_checks/rules.py` of the repository, loaded by path."""

import runpy
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pushline.data.contract import Column, Contract
from pushline.data.files.table import OFFLINE, TYPES, literal, name_of
from pushline.errors import ContractError
from pushline.results import Severity
from pushline.settings import Share


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold within each row.

    `holds` is a DuckDB condition; where it is NULL (a value is empty) it counts as held. A row is judged only where its
    values in `columns` are valid by the contract, so that a wrong value is one finding and not two.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$", description="stands in the finding")]
    columns: Annotated[tuple[str, ...], Meta(min_length=1, description="the contract's columns it speaks of")]
    holds: Annotated[str, Meta(min_length=1, description='SQL that is true in a sound row; names with a dot as "a.b"')]
    reason: Annotated[str, Meta(min_length=1, description="why it must hold, in one sentence")]
    severity: Annotated[Severity, Meta(description="of a finding")] = "critical"
    broken_at_most: Annotated[Share, Meta(description="tolerated share of rows that break it")] = 0.0


def load_rules(file: Path, contract: Contract) -> tuple[Rule, ...]:
    """The list RULES in `file`; none where there is no such file.

    Raises ContractError for a rule that is malformed, speaks of an unknown column, or is not SQL.
    """
    if not file.is_file():
        return ()
    try:
        said = runpy.run_path(str(file), run_name="data_checks.rules").get("RULES")
    except Exception as error:
        raise ContractError(f"{file.name} can't be run.", why=f"{type(error).__name__}: {error}.", do="Correct the file.") from error
    if not isinstance(said, (list, tuple)):
        raise ContractError(f"{file.name} has no list RULES.", why="The rules are looked for there.", do="Write `RULES = [Rule(...), …]`.")
    rules = []
    for position, rule in enumerate(said, 1):
        if not isinstance(rule, Rule):
            raise ContractError(
                f"Entry {position} of RULES in {file.name} is no rule.", why=f"It is {type(rule).__name__}.", do="Write `Rule(id=…, …)`."
            )
        try:  # a Struct made in Python is not validated until it is converted
            rules.append(msgspec.convert(msgspec.to_builtins(rule), Rule))
        except msgspec.ValidationError as error:
            raise ContractError(
                f"Rule {rule.id!r} in {file.name} is malformed.", why=f"{error}.", do="See `pushline docs contract` for its fields."
            ) from error
    if faults := rule_faults(rules, contract):
        raise ContractError(f"{file.name} does not fit the contract.", why="; ".join(faults) + ".", do="Correct these rules.")
    return tuple(rules)


def rule_faults(rules: list[Rule], contract: Contract) -> list[str]:
    """Ids used twice, unknown columns, conditions that DuckDB refuses."""
    from pushline.data.checks.findings import BASICS

    ids = [rule.id for rule in rules]
    faults = [f"{name} is the id of two rules" for name in sorted({name for name in ids if ids.count(name) > 1})]
    faults += [f"{name} is the id of a check" for name in ids if name in BASICS]
    known = []
    for rule in rules:
        unknown = [name for name in rule.columns if name not in contract.by_name]
        faults += [f"{rule.id} speaks of {name}, which is not in the contract" for name in unknown]
        known += [] if unknown else [rule]
    return faults + refusals_of(known, contract)


def refusals_of(rules: list[Rule], contract: Contract) -> list[str]:
    """What DuckDB says against each condition, tried on an empty table that has the rule's own columns only."""
    import duckdb

    refusals = []
    with duckdb.connect(config=OFFLINE) as connection:
        for rule in rules:
            columns = ", ".join(f"CAST(NULL AS {TYPES[contract.by_name[name].type]}) AS {name_of(name)}" for name in rule.columns)
            try:
                connection.execute(f"SELECT CAST(({rule.holds}) AS BOOLEAN) FROM (SELECT {columns}) WHERE false")
            except duckdb.Error as error:
                refusals.append(f"{rule.id}: {str(error).splitlines()[0]}")
    return refusals


def broken(rule: Rule, contract: Contract) -> str:
    """SQL that is true in a row that breaks the rule while its values are valid."""
    valid = [condition for name in rule.columns if (condition := valid_values(contract.by_name[name]))]
    return " AND ".join([f"NOT coalesce(CAST(({rule.holds}) AS BOOLEAN), true)", *valid])


def valid_values(column: Column) -> str:
    """SQL that is true where the column's value is allowed and within its bounds; empty where every value is."""
    name, conditions = name_of(column.name), []
    if column.allowed is not None and column.closed:
        conditions.append(f"CAST({name} AS VARCHAR) IN ({', '.join(map(literal, column.allowed))})")
    if column.minimum is not None:
        conditions.append(f"{name} >= {column.minimum!r}")
    if column.maximum is not None:
        conditions.append(f"{name} <= {column.maximum!r}")
    return " AND ".join(conditions)
