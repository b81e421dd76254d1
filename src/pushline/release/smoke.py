"""What a release must answer before anyone relies on it."""

import math
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pushline.data.profile.recorded import SMOKE
from pushline.release.openapi_faults import fault_of_value, openapi_faults, scoring
from pushline.results import Assertion, Release
from pushline.serving.client import Answer, Client
from pushline.serving.keys import EndpointKeys
from pushline.serving.model_folder import QUANTITY, GoldenRow, Scoring, read_contract, read_golden, read_scoring

WITHIN = 1e-4  # of a golden row's probability, or of the size of its quantity
ROWS_A_REQUEST = 100


def assertions_on(url: str, release: Release, keys: EndpointKeys, asked_before: tuple[GoldenRow, ...] = ()) -> tuple[Assertion, ...]:
    """Ask the release at `url` and note for each promise what was expected and what was seen.

    `asked_before`: rows of recent requests, with what the release's model says of them.

    Raises ModelUnreadable where the release's own folder can't say what to expect.
    """
    client, folder = Client(url, marked=SMOKE), Path(release.model)
    golden, model, contract = read_golden(folder), read_scoring(folder), read_contract(folder)
    one, first = golden[0].row, contract.inputs[0].name
    held = first if first in one else next(iter(one))
    checks: list[Callable[[], Assertion]] = [
        lambda: status("it is ready", client.get("/readyz"), 200),
        lambda: golden_rows(client, golden, model, keys.primary),
        lambda: status("the secondary key is accepted", client.score([one], keys.secondary), 200),
        *turned_away(client, one),
        lambda: refusal("a row with an unknown column is refused", client.score([{**one, "no column has this name": 1}], keys.primary)),
        lambda: refusal("a row with a wrong type is refused", client.score([{**one, held: ["a list is no value"]}], keys.primary)),
        lambda: header("it says its model version", client.score([one], keys.primary), "x-model-version", release.model_version),
        lambda: header("it says its release", client.score([one], keys.primary), "x-release", release.id),
    ]
    if asked_before:
        name = f"{len(asked_before):,} rows of recent requests score as the model does"
        checks.append(lambda: golden_rows(client, asked_before, model, keys.primary, name=name))
    return (*(check() for check in checks), *document(client, keys.primary))


def assertions_without_keys(url: str) -> tuple[Assertion, ...]:
    """What can be asked of any release by somebody who has no key: that it is up, and that it turns them away."""
    client = Client(url)
    return (status("it is ready", client.get("/readyz"), 200), *(check() for check in turned_away(client, {})))


def turned_away(client: Client, row: dict[str, Any]) -> list[Callable[[], Assertion]]:
    return [
        lambda: status("a request without a key is refused", client.score([row], None), 401),
        lambda: status("a request with a wrong key is refused", client.score([row], secrets.token_urlsafe(32)), 401),
    ]


def passed(assertions: tuple[Assertion, ...]) -> bool:
    """Whether all hold; no assertion at all is no evidence."""
    return bool(assertions) and all(assertion.passed for assertion in assertions)


def status(name: str, answer: Answer, expected: int) -> Assertion:
    return Assertion(name=name, expected=f"status {expected}", seen=str(answer), passed=answer.status == expected)


def refusal(name: str, answer: Answer) -> Assertion:
    """422 as a problem document that names the row and the column."""
    content = answer.content
    errors = content.get("errors") if isinstance(content, dict) else None
    named = isinstance(errors, list) and any(isinstance(e, dict) and e.get("row") == 0 and e.get("column") for e in errors)
    seen = f"{answer}, {'row and column named' if named else 'row and column not named'}"
    return Assertion(name=name, expected="status 422, row and column named", seen=seen, passed=answer.status == 422 and named)


def header(name: str, answer: Answer, field: str, expected: str) -> Assertion:
    seen = answer.headers.get(field)
    said = f"{field}: {seen}" if seen is not None else f"no {field} ({answer})"
    return Assertion(name=name, expected=f"{field}: {expected}", seen=said, passed=seen == expected)


def golden_rows(client: Client, golden: tuple[GoldenRow, ...], model: Scoring, key: str, *, name: str = "") -> Assertion:
    """The answers to the golden rows are the ones that training computed."""
    name, same = name or f"{len(golden)} golden rows score as in training", ", every class the same" if model.classes else ""
    expected = f"largest difference at most {WITHIN:g}{same}"
    worst, other = 0.0, 0
    for part, answer in asked(client, golden, key):
        compared = compare(part, answer.content, model) if answer.status == 200 else None
        if compared is None:
            seen = f"{answer}{'' if answer.status != 200 else ', not the shape of an answer'}"
            return Assertion(name=name, expected=expected, seen=seen, passed=False)
        worst, other = larger(worst, compared[0]), other + compared[1]
    seen = f"largest difference {worst:.2g}" + (f", {other} of {len(golden)} classes differ" if other else same)
    return Assertion(name=name, expected=expected, seen=seen, passed=bool(golden) and worst <= WITHIN and not other)


def asked(client: Client, golden: tuple[GoldenRow, ...], key: str) -> Iterator[tuple[tuple[GoldenRow, ...], Answer]]:
    """Golden rows and the answer to them, as many a request as the service's settings allow."""
    size, position = ROWS_A_REQUEST, 0
    while position < len(golden):
        part = golden[position : position + size]
        answer = client.score([row.row for row in part], key)
        if answer.status == 413 and size > 1:
            size = max(1, size // 10)
            continue
        yield part, answer
        position += size


def compare(golden: tuple[GoldenRow, ...], content: Any, model: Scoring) -> tuple[float, int] | None:
    """The largest difference of a probability, or of a quantity by its size where that is above 1, and how many classes differ.

    None where the answer has another shape. A row that lies closer to the threshold than the tolerance may fall on either side.
    """
    try:
        if model.level is not None:
            answers = list(zip(*(content[name] for name in QUANTITY), strict=True))
        else:
            answers = [(seen,) if isinstance(seen, float | int) else seen for seen in content["probability"]]
        worst, other = 0.0, 0
        for row, result, seen in zip(golden, content["result"], answers, strict=True):
            one = isinstance(seen, tuple) and len(row.probabilities) == 2  # the positive class's alone
            for expected, found in zip(row.probabilities[-1:] if one else row.probabilities, seen, strict=True):
                is_number = isinstance(found, float | int) and not isinstance(found, bool)
                worst = larger(worst, abs(expected - found) / max(1.0, abs(expected)) if is_number else math.inf)
            on_the_edge = model.threshold is not None and abs(row.probabilities[-1] - model.threshold) <= WITHIN
            other += model.level is None and result != row.result and not on_the_edge
    except (KeyError, TypeError, ValueError):
        return None
    return worst, other


def larger(one: float, other: float) -> float:
    """The larger of two differences; one that is no number is larger than any."""
    return max((one, other), key=lambda value: math.inf if math.isnan(value) else value)


def document(client: Client, key: str) -> Iterator[Assertion]:
    """The API document is valid, its example scores, and the answer is what it says."""
    answer = client.get("/openapi.json")
    content = answer.content if answer.status == 200 else None
    faults = openapi_faults(content) if answer.status == 200 else [str(answer)]
    yield Assertion(name="the OpenAPI document is valid", expected="no fault", seen="; ".join(faults[:3]) or "no fault", passed=not faults)
    example, shape = scoring(content) if isinstance(content, dict) and not faults else (None, None)
    rows = example.get("data") if isinstance(example, dict) else None
    name, expected = "the document's example scores as documented", "status 200, in the documented shape"
    if not isinstance(content, dict) or not isinstance(rows, list) or shape is None:
        yield Assertion(name=name, expected=expected, seen="no example or no shape of the answer in the document", passed=False)
        return
    scored = client.score(rows, key)
    fault = fault_of_value(content, shape, scored.content) if scored.status == 200 else "the answer is a refusal"
    yield Assertion(name=name, expected=expected, seen=f"{scored}, {fault or 'in the documented shape'}", passed=not fault)
