"""The quick pass and the careful pass agree, on honest requests and on any bytes at all."""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.data.contract import Column, Contract, load_contract
from pushline.data.contract.encoding import Encoding, encode_rows, encoding_of
from pushline.project import Project
from pushline.serving.payload import Payload
from pushline.serving.problems import Problem
from pushline.serving.scorer import packed

CLOSED = Contract(
    name="closed",
    positive="yes",
    columns=(
        Column(name="colour", type="string", allowed=("red", "green", "blue")),
        Column(name="count", type="integer", minimum=0, maximum=100),
        Column(name="size.cm", type="number", minimum=-1.5, maximum=2.5),
        Column(name="new", type="boolean"),
        Column(name="later", type="integer", known="after"),
        Column(name="id", type="string", role="identifier"),
        Column(name="label", type="string", role="label", allowed=("no", "yes")),
    ),
)
OPEN = Contract(
    name="open",
    positive="yes",
    columns=(
        Column(name="colour", type="string", allowed=("red", "a:b"), missing_at_most=0.5),
        Column(name="size", type="number", missing_at_most=0.5),
        Column(name="text", type="string"),
        Column(name="shop", type="string", allowed=("first", "second"), other=True, missing_at_most=0.5),
        Column(name="count", type="integer"),
        Column(name="new", type="boolean", missing_at_most=0.1),
        Column(name="label", type="string", role="label", allowed=("no", "yes")),
    ),
)


PIECES = [b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b"\\u0022", b"1e999", b"NaN", b"null"]


@lru_cache
def payload_of(contract: Contract) -> tuple[Payload, Encoding]:
    encoding = encoding_of(contract.features())
    return Payload(contract, encoding, max_rows=50), encoding


def matrix_of(payload: Payload, rows: list[Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(packed(payload, rows), dtype=np.float32).reshape(len(rows), len(payload.columns))


def both(contract: Contract, body: bytes) -> None:
    """Whatever the quick pass takes, the careful one takes too, as the same matrix."""
    payload, encoding = payload_of(contract)
    quick = payload.quick(body)
    if quick is not None:
        careful = payload.careful(body)
        np.testing.assert_array_equal(matrix_of(payload, quick), encode_rows(encoding, careful))


def refusal_of(payload: Payload, body: bytes) -> Problem | None:
    try:
        payload.careful(body)
    except Problem as problem:
        return problem
    return None


def rows_of(contract: Contract) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows that are nearly right: values in and out of their bounds, names left out or made up."""
    value = st.one_of(
        st.none(), st.booleans(), st.integers(-5, 200), st.integers(), st.floats(-3, 3), st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["red", "green", "a:b", "", "x:y"]), st.text(max_size=5), st.lists(st.integers(), max_size=2),
    )  # fmt: skip
    names = st.sampled_from([column.name for column in contract.columns] * 6 + ["other", "", "a:b"])
    return st.lists(st.dictionaries(names, value, max_size=8), max_size=4)


def right_rows(contract: Contract) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows that the contract allows."""

    def values(column: Column) -> st.SearchStrategy[Any]:
        if column.is_text:
            plain: st.SearchStrategy[Any] = st.sampled_from(column.allowed) if column.closed else st.text(max_size=8)
            plain = st.one_of(plain, st.sampled_from(column.allowed or ("",)))
        elif column.type == "boolean":
            plain = st.booleans()
        elif column.type == "integer":
            plain = st.integers(int(column.minimum or 0), int(column.maximum or 1000))
        else:
            plain = st.floats(column.minimum if column.minimum is not None else -1e6, column.maximum if column.maximum is not None else 1e6)
        return st.one_of(st.none(), plain) if column.optional else plain

    features = contract.features()
    required = {column.name: values(column) for column in features if not column.optional}
    absent = {column.name: values(column) for column in features if column.optional}
    absent |= {column.name: st.one_of(st.none(), st.text(max_size=3)) for column in contract.inputs if column not in features}
    return st.lists(st.fixed_dictionaries(required, optional=absent), min_size=1, max_size=4)


@pytest.mark.slow
@pytest.mark.parametrize("contract", [CLOSED, OPEN], ids=lambda contract: contract.name)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_both_passes_read_nearly_right_rows_alike(contract: Contract, data: st.DataObject) -> None:
    both(contract, json.dumps({"data": data.draw(rows_of(contract))}).encode())


@pytest.mark.slow
@pytest.mark.parametrize("contract", [CLOSED, OPEN], ids=lambda contract: contract.name)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_rows_that_the_contract_allows_are_taken(contract: Contract, data: st.DataObject) -> None:
    rows = data.draw(right_rows(contract))
    body = json.dumps({"data": rows}).encode()
    payload, encoding = payload_of(contract)
    assert payload.careful(body) == rows
    if not body.count(b":") > 1 + sum(map(len, rows)):  # a colon inside a text leaves the request to the careful pass
        quick = payload.quick(body)
        assert quick is not None
        np.testing.assert_array_equal(matrix_of(payload, quick), encode_rows(encoding, rows))


@given(body=st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_refused_by_a_problem(body: bytes) -> None:
    payload, _ = payload_of(CLOSED)
    assert payload.quick(body) is None
    with pytest.raises(Problem) as caught:
        payload.careful(body)
    assert caught.value.status in (400, 422)
    assert json.loads(caught.value.document("id"))["status"] == caught.value.status


@given(
    start=st.integers(0, 120),
    length=st.integers(0, 12),
    put=st.one_of(st.binary(max_size=6), st.sampled_from(PIECES)),
)
@settings(max_examples=500, deadline=None)
def test_a_damaged_request_is_read_alike_or_refused(start: int, length: int, put: bytes) -> None:
    whole = b'{"data":[{"colour":"red","count":3,"size.cm":1.5,"new":true},{"colour":"blue","count":9,"size.cm":-1,"new":false}]}'
    body = whole[:start] + put + whole[start + length :]
    problem = refusal_of(payload_of(CLOSED)[0], body)
    if problem is None:
        both(CLOSED, body)
    else:
        assert problem.status in (400, 422)
        assert json.loads(problem.document("id"))["detail"]
        assert payload_of(CLOSED)[0].quick(body) is None


def test_the_usual_request_of_the_example_takes_the_quick_pass(repo: Any) -> None:
    contract = load_contract(Project(repo).contract)
    payload = Payload(contract, encoding_of(contract.features()), max_rows=10)
    assert payload.quick((repo / "examples" / "two-rows.json").read_bytes()) is not None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"data":[{"colour":"red","count":1,"count":2,"size.cm":1,"new":true}]}', "appears twice"),
        (b'{"data":[{"colour":"pink","count":1,"size.cm":1,"new":true}]}', "allowed are red, green, blue"),
        (b'{"data":[{"colour":"red","count":1,"size.cm":1,"new":1}]}', "true or false"),
        (b'{"data":[{"colour":"red","count":1.5,"size.cm":1,"new":true}]}', "whole number"),
        (b'{"data":[{"colour":"red","count":1,"size.cm":2.6,"new":true}]}', "at most 2.5"),
        (b'{"data":[{"colour":null,"count":1,"size.cm":1,"new":true}]}', "is null"),
        (b'{"data":[{"count":1,"size.cm":1,"new":true}]}', "is missing"),
        (b'{"data":[{"colour":"red","count":1,"size.cm":1,"new":true,"label":"yes"}]}', "what the model predicts"),
    ],
)
def test_a_fault_is_told_in_words(body: bytes, words: str) -> None:
    payload, _ = payload_of(CLOSED)
    assert payload.quick(body) is None
    with pytest.raises(Problem, match=words):
        payload.careful(body)


def test_a_member_twice_is_found_even_where_another_may_be_absent() -> None:
    body = b'{"data":[{"colour":"red","colour":"red","text":"t","count":1}]}'
    payload, _ = payload_of(OPEN)
    assert payload.quick(body) is None
    with pytest.raises(Problem, match="appears twice"):
        payload.careful(body)


def test_names_that_no_struct_can_have_are_read_with_care() -> None:
    name = 'a "b"\\\n'
    contract = Contract(name="odd", positive="yes", columns=(Column(name=name, type="number"), CLOSED.label))
    payload = Payload(contract, encoding_of(contract.features()), max_rows=5)
    body = json.dumps({"data": [{name: 1.5}]}).encode()
    assert payload.quick(body) is None
    assert payload.careful(body) == [{name: 1.5}]
