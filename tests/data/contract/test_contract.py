import math
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from pushline.data.contract import Contract, load_contract, parse_contract
from pushline.data.contract.contract import FILE, contract_schema, schema_file
from pushline.errors import ContractError


def contract(**changes: Any) -> dict[str, Any]:
    """A small sound contract as YAML gives it; `column` changes its feature."""
    feature = {"name": "size", "type": "number", "minimum": 0, "maximum": 9, **changes.pop("column", {})}
    label = {"name": "kind", "type": "string", "role": "label", "allowed": ["a", "b"], **changes.pop("label", {})}
    return {"name": "table", "positive": "b", "columns": [feature, label], **changes}


def refused(content: dict[str, Any]) -> str:
    with pytest.raises(ContractError) as error:
        parse_contract(content)
    assert error.value.do
    return error.value.why


@pytest.mark.example
def test_the_shipped_contract_is_sound(repo: Path) -> None:
    shipped = load_contract(repo / "data_checks" / "contract.yml")
    assert shipped.label.name == shipped.columns[-1].name
    assert shipped.classes[-1] == shipped.positive


def test_the_schema_beside_the_contract_is_the_models(repo: Path) -> None:
    assert (repo / "data_checks" / FILE).read_bytes() == schema_file(), "run `make docs`"


def test_the_schema_accepts_the_contract_and_refuses_an_unknown_key(repo: Path) -> None:
    shipped = yaml.safe_load((repo / "data_checks" / "contract.yml").read_text())
    jsonschema.validate(shipped, contract_schema())
    shipped["columns"][0]["minimun"] = 17
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(shipped, contract_schema())


def test_the_contract_names_its_schema_for_editors(repo: Path) -> None:
    first = (repo / "data_checks" / "contract.yml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={FILE}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (contract(column={"minimun": 1}), "minimun"),
        (contract(column={"type": "float"}), "type"),
        (contract(label={"allowed": [True, False]}), "Expected `str`"),
        (contract(column={"name": "kind"}), "kind appears twice"),
        (contract(column={"name": "Kind"}), "differ in case only"),
        (contract(column={"name": "__row"}), "__row"),
        (contract(column={"minimum": 10}), "minimum 10 is above maximum 9"),
        (contract(column={"minimum": math.nan}), "bounds are finite"),
        (contract(column={"example": 12}), "example 12"),
        (contract(column={"unknown": "?"}), "not among `allowed`"),
        (contract(column={"other": True}), "`other` goes with `allowed` of a string column"),
        (contract(column={"unknown_at_most": 0.5}), "goes with `unknown`"),
        (contract(column={"type": "string"}), "bounds go with"),
        (contract(column={"role": "identifier"}), "role feature"),
        (contract(label={"role": "feature"}), "exactly one column has the role label"),
        (contract(label={"allowed": ["a"]}), "at least two allowed values"),
        (contract(label={"allowed": ["a", "a", "b"]}), "a value is allowed twice"),
        (contract(label={"type": "integer", "allowed": ["0", "one"]}, positive="0"), "'one' is no integer"),
        (contract(label={"type": "boolean", "allowed": ["no", "yes"]}, positive="yes"), "'no' is no boolean"),
        (contract(positive="c"), "not an allowed value"),
        (contract(positive=None), "needs `positive`"),
        (contract(delimiter="::"), "delimiter"),
        (contract(rows_at_least=0), "rows_at_least"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_contradiction_is_refused_and_named(content: dict[str, Any], said: str) -> None:
    assert said in refused(content)


def test_a_label_may_be_a_number_or_a_boolean() -> None:
    assert parse_contract(contract(label={"type": "integer", "allowed": ["0", "1"]}, positive="1")).classes == ("0", "1")
    assert parse_contract(contract(label={"type": "boolean", "allowed": ["false", "true"]}, positive="true")).positive == "true"


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "contract.yml").write_text("columns: [")
    with pytest.raises(ContractError, match=r"contract\.yml can't be read"):
        load_contract(tmp_path / "contract.yml")


def test_the_hash_changes_with_any_part_and_not_with_the_order_of_keys() -> None:
    one = parse_contract(contract())
    assert one.hash == parse_contract(dict(reversed(contract().items()))).hash
    assert one.hash != parse_contract(contract(column={"maximum": 8})).hash


def test_a_contract_survives_a_model_folder() -> None:
    one = parse_contract(contract())
    assert msgspec.json.decode(msgspec.json.encode(one), type=Contract) == one
