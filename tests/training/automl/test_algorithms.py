import pytest

from pushline.training.automl.algorithms import ALGORITHMS, LARGEST, LEAVES, MANY_ROWS, for_table, within
from pushline.training.graph import bytes_of_tree


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_portfolio_can_split_a_small_table_and_is_as_written_on_a_large_one(name: str) -> None:
    algorithm = ALGORITHMS[name]
    large = for_table(algorithm, 100_000, 2)
    assert [one for one in large.portfolio if one not in algorithm.deep] == list(algorithm.portfolio)
    small = for_table(algorithm, 40, 2)
    for before, after in zip(algorithm.portfolio, small.portfolio, strict=True):
        assert {key: value for key, value in before.items() if key not in LEAVES} == {
            key: value for key, value in after.items() if key not in LEAVES
        }
        for leaf in set(LEAVES) & set(after):
            assert algorithm.space[leaf].low <= after[leaf] <= 5
            assert isinstance(after[leaf], type(before[leaf]))


def test_deep_trees_are_tried_second_where_rows_are_many() -> None:
    first, second, *_ = for_table(ALGORITHMS["LightGBM"], MANY_ROWS, 2).portfolio
    assert second["num_leaves"] > 2 * first["num_leaves"]
    assert len(for_table(ALGORITHMS["LightGBM"], MANY_ROWS - 1, 2).portfolio) == len(ALGORITHMS["LightGBM"].portfolio)


def test_a_model_of_many_classes_has_as_many_rounds_as_can_be_served() -> None:
    deep = ALGORITHMS["LightGBM"].deep[0]
    assert within(deep, 2) == deep
    many = within(deep, 26)
    assert many["n_estimators"] * 26 * bytes_of_tree(2 * 63, 1) <= LARGEST
    assert many["learning_rate"] > deep["learning_rate"]
    forest = within(ALGORITHMS["RandomForest"].portfolio[0], 40)
    assert forest["n_estimators"] * bytes_of_tree(2 * 200, 40) <= LARGEST
    assert "learning_rate" not in forest
    assert within({"C": 1.0}, 26) == {"C": 1.0}
