"""Whatever a release answers, it is held to be right only where every golden row is answered as in training."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.data.contract.encoding import Encoding
from pushline.release.smoke import WITHIN, compare, passed
from pushline.serving.model_folder import GoldenRow, Scoring

anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(-1, 2),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)


def golden(classes: int) -> tuple[GoldenRow, ...]:
    names = ("a", "b", "c")[:classes]
    chances = ([0.2, 0.8], [0.9, 0.1]) if classes == 2 else ([0.2, 0.7, 0.1], [0.1, 0.1, 0.8])
    return tuple(GoldenRow(row={"x": 1}, probabilities=tuple(each), result=names[each.index(max(each))]) for each in chances)


def model(classes: int) -> Scoring:
    return Scoring(
        encoding=Encoding(columns=()),
        classes=("a", "b", "c")[:classes],
        positive="b" if classes == 2 else None,
        threshold=0.5 if classes == 2 else None,
        algorithm="",
        sha256={},
        data_version="",
        git_revision="",
        generated_sample=False,
    )


def near(seen: Any, expected: tuple[float, ...]) -> bool:
    """Whether an answer is these probabilities, or of two the last alone."""
    if len(expected) == 2 and isinstance(seen, int | float):
        seen, expected = [seen], expected[-1:]
    if not isinstance(seen, list) or len(seen) != len(expected):
        return False
    return all(type(one) in (int, float) and abs(one - other) <= WITHIN for one, other in zip(seen, expected, strict=True))


@settings(max_examples=300)
@given(st.sampled_from([2, 3]), st.data())
def test_only_the_answers_of_training_pass(classes: int, data: Any) -> None:
    rows = golden(classes)
    results, chances = [row.result for row in rows], [list(row.probabilities) for row in rows]
    assert compare(rows, {"result": results, "probability": chances}, model(classes)) == (0.0, 0)
    seen = data.draw(anything | st.lists(st.floats(0, 1), min_size=classes, max_size=classes))
    told = compare(rows, {"result": results, "probability": [chances[0], seen]}, model(classes))
    assert (told is not None and told[0] <= WITHIN) == near(seen, rows[1].probabilities)


@given(anything)
def test_an_answer_of_another_shape_is_no_answer(content: Any) -> None:
    assert compare(golden(2), content, model(2)) is None
    assert compare(golden(2), {"result": content, "probability": []}, model(2)) is None


def test_no_assertion_at_all_is_no_evidence() -> None:
    assert not passed(())
