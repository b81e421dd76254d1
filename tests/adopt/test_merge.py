"""A new draft beside what people made of the old one."""

from typing import Any

from pushline.adopt.merge import merged, merged_settings
from pushline.adopt.written import comments_of, contract_text
from pushline.data.contract import Contract, parse_contract


def contract_of(*columns: dict[str, Any], **whole: Any) -> Contract:
    label = {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]}
    return parse_contract({"name": "shop", "positive": "yes", "columns": [*columns, label], **whole})


def test_what_people_changed_stays_and_what_they_left_alone_follows_the_table() -> None:
    base = contract_of({"name": "a", "type": "integer", "maximum": 10}, {"name": "b", "type": "number"}, rows_at_least=20)
    ours = contract_of(
        {"name": "a", "type": "integer", "maximum": 99, "description": "Age"}, {"name": "b", "type": "number"}, rows_at_least=500
    )
    new = contract_of({"name": "a", "type": "integer", "maximum": 20}, {"name": "b", "type": "integer"}, {"name": "c", "type": "number"})
    proposal, kept = merged(base, ours, new)
    a, b = proposal.by_name["a"], proposal.by_name["b"]
    assert (a.maximum, a.description, b.type, proposal.rows_at_least) == (99, "Age", "integer", 500)
    assert list(proposal.by_name) == ["a", "b", "c", "y"]
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
    import yaml

    assert parse_contract(yaml.safe_load(text)) == contract
    assert "  # suspect: it knows too much\n  - name: 'on'" in text
    edited = text.replace("  - name: 'on'", "  # Asked sales.\n  - name: 'on'")
    again = contract_text(contract, {"on": ("it knows too much",)}, comments_of(edited))
    assert again == edited
