from pathlib import Path

import pytest

from pushline.data.contract import Contract, load_contract
from pushline.data.rules import Rule, broken, load_rules
from pushline.errors import ContractError

pytestmark = pytest.mark.example

HEAD = "from pushline.data.rules import Rule\n"


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


def rule(**changes: str) -> str:
    said = {"id": "'one'", "columns": "('age',)", "holds": "'age > 0'", "reason": "'Because.'", **changes}
    return f"Rule({', '.join(f'{name}={value}' for name, value in said.items())})"


def test_the_shipped_rules_fit_the_contract_and_give_a_reason(repo: Path, contract: Contract) -> None:
    rules = load_rules(repo / "data_checks" / "rules.py", contract)
    assert len(rules) >= 4
    assert all(rule.reason.endswith(".") for rule in rules)


def test_a_repository_without_rules_has_none(tmp_path: Path, contract: Contract) -> None:
    assert load_rules(tmp_path / "rules.py", contract) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("RULES = [", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("RULE = []", "no list RULES"),
        ("RULES = ['age > 0']", "Entry 1"),
        (f"RULES = [{rule(severity=repr('fatal'))}]", "'one'"),
        (f"RULES = [{rule(id=repr('Has Spaces'))}]", "'Has Spaces'"),
        (f"RULES = [{rule()}, {rule()}]", "one is the id of two rules"),
        (f"RULES = [{rule(id=repr('range'))}]", "range is the id of a check"),
        (f"RULES = [{rule(columns='(' + repr('weight') + ',)')}]", "weight, which is not in the contract"),
        (f"RULES = [{rule(holds=repr('age >'))}]", "one: "),
        (f"RULES = [{rule(holds=repr('previous > 0'))}]", "previous"),
        (f"RULES = [{rule(holds=repr('(SELECT 1); DROP TABLE x'))}]", "one: "),
    ],
)
def test_a_faulty_rule_is_refused_and_named(text: str, said: str, tmp_path: Path, contract: Contract) -> None:
    (tmp_path / "rules.py").write_text(HEAD + text)
    with pytest.raises(ContractError) as error:
        load_rules(tmp_path / "rules.py", contract)
    assert said in f"{error.value.what} {error.value.why}"


def test_a_rule_sees_only_rows_whose_values_are_valid(contract: Contract) -> None:
    import duckdb

    condition = broken(
        Rule(id="r", columns=("previous", "poutcome"), holds="(previous = 0) = (poutcome = 'nonexistent')", reason="."), contract
    )
    rows = [(0, "failure"), (1, "nonexistent"), (0, "nonexistent"), (-1, "nonexistent"), (0, "lost"), (None, "failure"), (1, None)]
    values = ", ".join(f"({'NULL' if a is None else a}, {'NULL' if b is None else repr(b)})" for a, b in rows)
    found = duckdb.execute(f"SELECT previous, poutcome FROM (VALUES {values}) t(previous, poutcome) WHERE {condition}").fetchall()
    assert found == [(0, "failure"), (1, "nonexistent")]
