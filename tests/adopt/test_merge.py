"""A new draft beside what people made of the old one."""

import json
from typing import Any

import pytest
import yaml

from pushline.adopt.contract_file import comments_of, contract_text, edited
from pushline.adopt.merge import merged, merged_settings
from pushline.data.contract import Contract, parse_contract
from pushline.errors import SettingsError


def contract_of(*columns: dict[str, Any], **whole: Any) -> Contract:
    label = {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]}
    return parse_contract({"name": "shop", "positive": "yes", "columns": [*columns, label], **whole})


def test_what_people_changed_stays_and_what_they_left_alone_follows_the_table() -> None:
    base = contract_of({"name": "a", "type": "integer", "maximum": 10}, {"name": "b", "type": "number"}, rows_at_least=20)
    mine = {"name": "a", "type": "integer", "maximum": 99, "description": "Age"}
    ours = contract_of(mine, {"name": "b", "type": "number"}, rows_at_least=500, limits=["Only customers of one shop."])
    new = contract_of({"name": "a", "type": "integer", "maximum": 20}, {"name": "b", "type": "integer"}, {"name": "c", "type": "number"})
    proposal, kept = merged(base, ours, new)
    a, b = proposal.by_name["a"], proposal.by_name["b"]
    assert (a.maximum, a.description, b.type, proposal.rows_at_least) == (99, "Age", "integer", 500)
    assert list(proposal.by_name) == ["a", "b", "c", "y"]
    assert parse_contract(yaml.safe_load(contract_text(proposal, {}))).limits == ("Only customers of one shop.",)
    assert any("maximum stays 99" in line and "20" in line for line in kept)


def test_a_column_the_table_lost_goes_with_what_was_derived_from_it() -> None:
    columns = [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}]
    derived = [{"name": "ratio", "expression": "a / b"}, {"name": "half", "expression": "a / 2"}]
    proposal, _ = merged(contract_of(*columns), contract_of(*columns, derived=derived), contract_of(columns[0]))
    assert list(proposal.by_name) == ["a", "y"]
    assert [each.name for each in proposal.derived] == ["half"]


def test_settings_people_changed_are_left_alone() -> None:
    assert merged_settings({"a": 1, "b": 2}, {"a": 1, "b": 5}, {"a": 3, "b": 3}) == {"a": 3}


def test_the_contract_is_written_so_that_it_reads_as_it_was_and_keeps_comments() -> None:
    contract = contract_of(
        {"name": "été: #1", "type": "number", "minimum": 0, "maximum": 2.5, "severity": "warning"},
        {"name": "on", "type": "string", "allowed": ["yes", "no", "1", " a", "x: y", "„“"]},
        derived=[],
    )
    text = contract_text(contract, {"on": ("it knows too much",)})
    assert parse_contract(yaml.safe_load(text)) == contract
    assert "  # suspect: it knows too much\n  - name: 'on'" in text
    edited = text.replace("  - name: 'on'", "  # Asked sales.\n  - name: 'on'")
    again = contract_text(contract, {"on": ("it knows too much",)}, comments_of(edited))
    assert again == edited


def test_names_within_names_are_other_names() -> None:
    columns = [{"name": name, "type": "number"} for name in ("id", "paid", "total")]
    derived = [{"name": "rest", "expression": "paid / total"}]
    proposal, kept = merged(contract_of(*columns), contract_of(*columns, derived=derived), contract_of(*columns[1:]))
    assert [each.name for each in proposal.derived] == ["rest"]
    assert kept == ()


def test_a_derived_feature_that_lost_its_column_is_told() -> None:
    columns = [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}]
    ours = contract_of(*columns, derived=[{"name": "ratio", "expression": "a / b"}])
    _, kept = merged(contract_of(*columns), ours, contract_of(columns[0]))
    assert any("derived ratio goes" in line and "b" in line for line in kept)


def test_a_merge_that_contradicts_itself_stops_with_the_keys() -> None:
    base = contract_of({"name": "a", "type": "integer", "minimum": 0, "maximum": 100})
    ours = contract_of({"name": "a", "type": "integer", "minimum": 50, "maximum": 100})
    new = contract_of({"name": "a", "type": "integer", "minimum": 0, "maximum": 20})
    with pytest.raises(SettingsError, match="contradict") as caught:
        merged(base, ours, new)
    assert "a: minimum 50 is above maximum 20" in caught.value.why


def test_an_example_that_peoples_bounds_leave_out_goes() -> None:
    base = contract_of({"name": "a", "type": "integer", "maximum": 100, "example": 40})
    ours = contract_of({"name": "a", "type": "integer", "maximum": 30, "example": 20})
    new = contract_of({"name": "a", "type": "integer", "maximum": 100, "example": 40})
    assert merged(base, ours, new)[0].by_name["a"].example == 20
    new = contract_of({"name": "a", "type": "integer", "maximum": 100, "example": 45})
    base, ours = (contract_of({"name": "a", "type": "integer", "maximum": limit, "example": 25}) for limit in (100, 30))
    assert merged(base, ours, new)[0].by_name["a"].example is None


TEXT = """\
# Ours since 2019.
name: shop
positive: "yes"  # what we look for
rows_at_least: 20  # a bad day

columns:
  # Asked sales.
  - name: a
    # years, not months
    type: integer
    maximum: 10  # nobody is older

  # The next two are one.
  - name: b
    type: number
  - name: y
    type: string
    role: label
    allowed: ["no", "yes"]
# The end.
"""


def test_only_the_lines_that_change_are_written_and_comments_stay_with_their_columns() -> None:
    ours = parse_contract(yaml.safe_load(TEXT))
    new = contract_of({"name": "b", "type": "number"}, {"name": "a", "type": "integer", "maximum": 12, "unit": "years"}, rows_at_least=30)
    text = edited(TEXT, ours, new, {"b": ("it knows too much",)})
    assert parse_contract(yaml.safe_load(text)) == new
    for part in (
        "# Ours since 2019.\n",
        'positive: "yes"  # what we look for\n',
        "rows_at_least: 30  # a bad day\n",
        "  # Asked sales.\n  - name: a\n    # years, not months\n    type: integer\n    maximum: 12  # nobody is older\n    unit: years\n",
        "  # suspect: it knows too much\n\n  # The next two are one.\n  - name: b\n",
        "# The end.\n",
    ):
        assert part in text


def test_the_comment_of_a_lost_column_goes_with_it_alone() -> None:
    ours = parse_contract(yaml.safe_load(TEXT))
    text = edited(TEXT, ours, contract_of({"name": "b", "type": "number"}, rows_at_least=20), {})
    assert "Asked sales" not in text
    assert "# The next two are one." in text


def test_a_contract_written_as_json_is_written_anew() -> None:
    ours = parse_contract(yaml.safe_load(TEXT))
    new = contract_of({"name": "b", "type": "number"}, rows_at_least=25)
    assert parse_contract(yaml.safe_load(edited(json.dumps(yaml.safe_load(TEXT)), ours, new, {}))) == new
