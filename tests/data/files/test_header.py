from pathlib import Path

import pytest

from pushline.data.contract import Contract, load_contract
from pushline.data.files.header import read_header


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


@pytest.fixture
def names(contract: Contract) -> list[str]:
    return [column.name for column in contract.columns]


def test_the_contracts_names_are_read_with_and_without_quotes(names: list[str], contract: Contract) -> None:
    for line in (",".join(names), ",".join(f'"{name}"' for name in names)):
        header = read_header(line.encode() + b"\r\n", contract)
        assert header.findings == ()
        assert header.columns == {name: name for name in names}


def test_a_name_may_hold_a_line_end(names: list[str], contract: Contract) -> None:
    header = read_header((",".join(names) + ',"two\nlines"\n1,2').encode(), contract)
    assert [(f.id, f.column) for f in header.findings] == [("column-extra", "two\nlines")]


def test_a_name_that_differs_in_case_only_is_renamed_and_still_read(names: list[str], contract: Contract) -> None:
    header = read_header(",".join([*names[:-1], names[-1].upper()]).encode(), contract)
    assert [(f.id, f.column) for f in header.findings] == [("column-renamed", names[-1])]
    assert header.columns[names[-1].upper()] == names[-1]


def test_an_extra_column_may_have_a_known_name_in_other_case(names: list[str], contract: Contract) -> None:
    header = read_header(",".join([*names, "AGE"]).encode(), contract)
    assert [f.id for f in header.findings] == ["column-extra"]
    assert header.readable


def test_two_unlike_names_are_one_missing_and_one_extra(names: list[str], contract: Contract) -> None:
    header = read_header(",".join([*names[1:], "zzz"]).encode(), contract)
    assert [(f.id, f.column) for f in header.findings] == [("column-missing", names[0]), ("column-extra", "zzz")]


def test_a_contract_with_semicolons_reads_them(names: list[str], contract: Contract) -> None:
    import msgspec

    other = msgspec.structs.replace(contract, delimiter=";")
    assert read_header(";".join(names).encode(), other).findings == ()
    assert [f.id for f in read_header(",".join(names).encode(), other).findings] == ["delimiter"]


@pytest.mark.example
def test_many_missing_columns_are_one_finding(names: list[str], contract: Contract) -> None:
    header = read_header(",".join(names[8:]).encode(), contract)
    assert [(f.id, f.count) for f in header.findings] == [("column-missing", 8)]
