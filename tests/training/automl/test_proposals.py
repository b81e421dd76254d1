import pytest

from pushline.training.automl.algorithms import ALGORITHMS, Candidate
from pushline.training.automl.proposals import Proposals, portfolio

TWO = (ALGORITHMS["LightGBM"], ALGORITHMS["LogisticRegression"])


def worth(candidate: Candidate) -> float:
    """A score with its best at a learning rate of .05 or a C of 10."""
    if candidate.algorithm == "LogisticRegression":
        return 0.3 - abs(float(candidate.parameters["C"]) - 10) / 1000
    return 0.5 - abs(float(candidate.parameters["learning_rate"]) - 0.05) - abs(float(candidate.parameters["subsample"]) - 0.7) / 10


def ask(rounds: int, seed: int, width: int = 2) -> list[Candidate]:
    proposals, seen = Proposals(TWO, seed), []
    for _ in range(rounds):
        batch = proposals.next(width)
        proposals.learn([(candidate, worth(candidate)) for candidate in batch])
        seen += batch
    return seen


def test_the_portfolio_comes_first_in_its_order():
    first = portfolio(TWO)
    assert ask(5, 1)[: len(first)] == first


@pytest.mark.parametrize("width", [1, 2])
def test_the_same_scores_lead_to_the_same_proposals(width):
    assert ask(25, 3, width) == ask(25, 3, width)
    assert ask(25, 3, width) != ask(25, 4, width)


def test_proposals_go_on_for_long_and_stay_within_the_space():
    seen = ask(60, 5)
    assert len(seen) >= 118
    assert len({candidate.name for candidate in seen}) == len(seen)
    for candidate in seen:
        for name, span in ALGORITHMS[candidate.algorithm].space.items():
            assert span.low <= candidate.parameters[name] <= span.high
            assert isinstance(candidate.parameters[name], int if isinstance(span.low, int) else int | float)


def test_the_search_finds_better_than_the_portfolio():
    seen = ask(30, 7)
    assert max(map(worth, seen)) > max(map(worth, portfolio(TWO)))


def test_the_better_algorithm_gets_most_proposals_and_the_other_its_chance():
    names = [candidate.algorithm for candidate in ask(30, 1)]
    assert names.count("LightGBM") > names.count("LogisticRegression") > 2


def test_a_failed_proposal_does_not_end_the_search():
    proposals = Proposals(TWO, 1)
    for _ in range(20):
        batch = proposals.next(2)
        assert len(batch) > 0
        proposals.learn([(candidate, worth(candidate) if candidate in portfolio(TWO) else None) for candidate in batch])
