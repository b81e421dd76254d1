import pytest

from pushline.training.automl.algorithms import ALGORITHMS, LEAVES, for_rows


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_portfolio_can_split_a_small_table_and_is_as_written_on_a_large_one(name: str) -> None:
    algorithm = ALGORITHMS[name]
    assert for_rows(algorithm, 100_000) == algorithm
    small = for_rows(algorithm, 40)
    for before, after in zip(algorithm.portfolio, small.portfolio, strict=True):
        assert {key: value for key, value in before.items() if key not in LEAVES} == {
            key: value for key, value in after.items() if key not in LEAVES
        }
        for leaf in set(LEAVES) & set(after):
            assert algorithm.space[leaf].low <= after[leaf] <= 5
            assert isinstance(after[leaf], type(before[leaf]))
