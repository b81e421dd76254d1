"""Each rule of data_checks/rules.py, broken: check-data names it."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pushline.data.contract import load_contract
from pushline.data.rules import Rule, broken, load_rules
from repository.conftest import ROOT, Pushline

pytestmark = pytest.mark.slow
CONTRACT = load_contract(ROOT / "data_checks" / "contract.yml")
RULES = load_rules(ROOT / "data_checks" / "rules.py", CONTRACT)
VALUES = 60  # of each column that are tried together


def breaking(rule: Rule, frame: pd.DataFrame) -> dict[str, Any] | None:
    """Values that each are right, of which the rule says that they can't be together."""
    import duckdb

    seen = {name: frame[name].dropna().drop_duplicates().head(VALUES).tolist() for name in rule.columns}
    combined = pd.DataFrame(list(product(*seen.values())), columns=list(seen))
    with duckdb.connect() as connection:
        connection.register("combined", combined)
        found = connection.execute(f"SELECT * FROM combined WHERE {broken(rule, CONTRACT)} LIMIT 1").df()
    return None if found.empty else dict(found.iloc[0])


@pytest.mark.skipif(not RULES, reason="there is no rule yet")
def test_rows_that_break_a_rule_are_found(made: Path, copy: Path, pushline: Pushline) -> None:
    """Each rule is broken by rows of its own, as many as no tolerated share hides."""
    frame = pd.read_csv(made, sep=CONTRACT.delimiter)
    sound = frame.copy()
    for number, rule in enumerate(RULES):
        values = breaking(rule, sound)
        assert values is not None, f"no values that the contract allows break {rule.id}: it says nothing, or it is the contract's to say"
        for name, value in values.items():
            frame.loc[frame.index % len(RULES) == number, name] = value
    frame.to_csv(copy / "broken.csv", sep=CONTRACT.delimiter, index=False)
    found = {finding["id"] for finding in json.loads(pushline("check-data", "broken.csv", "--json").stdout)["findings"]}
    assert [rule.id for rule in RULES if rule.id not in found] == []
