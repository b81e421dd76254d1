"""The Great Expectations suite of a contract and its rules.

Types, names and their order are not in it: the table was written with them, and what did not fit was found while reading.
"""

from collections.abc import Collection, Sequence

from pushline.data.checks import table_checks
from pushline.data.checks.check import Check
from pushline.data.checks.column_checks import checks_of_column
from pushline.data.contract import Contract
from pushline.data.rules import Rule


def checks_of(contract: Contract, rules: Sequence[Rule], present: Sequence[str], unread: Collection[str | None] = ()) -> list[Check]:
    """The checks for the columns that are present. `unread` names those with cells that were not of their type: there an
    empty cell says nothing."""
    columns = [column for column in contract.columns if column.name in present]
    checks = [table_checks.too_few_rows(contract)]
    for column in columns:
        checks += checks_of_column(column, check_missing=column.name not in unread)
    if contract.label in columns and not contract.is_regression:
        checks.append(table_checks.rare_class(contract))
    checks += [table_checks.rule_check(rule, contract) for rule in rules if set(rule.columns) <= set(present)]
    features = [column for column in columns if column.role == "feature"]
    if features:
        checks.append(table_checks.constant(features))
    if contract.duplicates_at_most < 1:
        checks.append(table_checks.duplicates(contract, columns))
    return checks
