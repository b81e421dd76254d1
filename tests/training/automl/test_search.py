import re
from types import SimpleNamespace

import numpy as np
import pytest

from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of
from pushline.errors import StepFailed
from pushline.training.automl import search as module
from pushline.training.automl import trials
from pushline.training.automl.algorithms import ALGORITHMS, Algorithm, Range
from pushline.training.automl.calibrate import Vote, voted
from pushline.training.automl.limits import SearchSettings
from pushline.training.automl.proposals import portfolio
from pushline.training.automl.search import Search, SearchResult
from pushline.training.export import predict
from pushline.training.features import compute, features_of
from pushline.training.metrics import score
from training.tables import odd_contract, odd_table

pytestmark = pytest.mark.slow  # each starts worker processes

SMALL = {"n_estimators": 15, "max_iter": 15, "iterations": 15}
QUICK = ("GradientBoosting", "LogisticRegression", "XGBoostClassifier")


def quick(*names: str) -> tuple[Algorithm, ...]:
    """Algorithms with so few trees that a fit takes milliseconds."""
    found = []
    for name in names or QUICK:
        algorithm = ALGORITHMS[name]
        first = {key: SMALL.get(key, value) for key, value in algorithm.portfolio[0].items()}
        space = {key: span for key, span in algorithm.space.items() if key not in SMALL}
        found.append(Algorithm(name=name, builder=algorithm.builder, portfolio=(first,), space=space))
    return tuple(found)


def faulty(how: str) -> Algorithm:
    return Algorithm(name=how, builder="training.automl.faulty:fault", portfolio=({"how": how},), space={"x": Range(0.0, 1.0, log=False)})


class Table:
    """An odd table, encoded."""

    def __init__(self, *, rows: int = 400, classes: int = 2, derived: list[dict[str, str]] | None = None) -> None:
        self.contract = odd_contract(classes=classes, derived=derived)
        self.encoding = encoding_of(self.contract.features())
        self.features = features_of(self.contract, self.encoding)
        frame = odd_table(rows, 1, classes=classes)
        self.raw = encode_frame(self.encoding, frame)
        self.matrix = compute(self.raw, self.features, self.encoding)
        self.labels = class_codes(self.contract, frame["outcome"])
        self.kinds = (*(column.kind for column in self.encoding.columns), *("number" for _ in self.features))
        self.classes = classes

    def search(self, settings: SearchSettings, **options) -> SearchResult:
        told = options.pop("told", [])
        options = {"progress": told.append, "features": self.features, "encoding": self.encoding} | options
        return Search(self.matrix, self.labels, self.kinds, self.classes, settings, **options).run()


@pytest.fixture
def algorithms(monkeypatch: pytest.MonkeyPatch):
    """Let the search use these algorithms."""

    def use(*chosen: Algorithm) -> None:
        monkeypatch.setattr(module, "algorithms_of", lambda settings: chosen)

    return use


def limits(**other) -> SearchSettings:
    return SearchSettings(**{"seconds": 60.0, "folds": 3, "max_trials": 6, "threads": 2} | other)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_same_seed_and_trial_count_give_identical_predictions(algorithms, classes):
    algorithms(*quick())
    table = Table(classes=classes)
    first, second = (table.search(limits(max_trials=7, threads=threads)) for threads in (2, 12))  # whatever the cores
    assert first.members == second.members
    assert np.array_equal(first.probabilities, second.probabilities)
    assert first.model == second.model
    assert [one.name for one in first.leaderboard] == [one.name for one in second.leaderboard]


@pytest.mark.parametrize(
    ("how", "state", "detail"),
    [
        ("raises", "failed", "not to my taste"),
        ("hangs", "timeout", "stopped after"),
        ("eats memory", "out of memory", ""),
        ("dies", "out of memory", "SIGABRT"),
        ("says nothing", "failed", "no numbers"),
    ],
)
def test_a_trial_that_goes_wrong_is_a_row_and_the_search_ends_well(algorithms, how, state, detail):
    algorithms(faulty(how), *quick("GradientBoosting"))
    found = Table().search(limits(max_trials=2, trial_seconds=6.0 if how == "hangs" else None, memory=700 << 20))
    rows = {one.algorithm: one for one in found.leaderboard}
    assert rows[how].state == state
    assert rows[how].score is None
    assert detail in rows[how].detail
    assert rows["GradientBoosting"].state == "ok"
    assert found.algorithm == "GradientBoosting"


def test_a_hanging_trial_has_a_limit_where_none_is_given(algorithms, monkeypatch):
    monkeypatch.setattr(trials, "PATIENT_FIT", 3.0)
    algorithms(faulty("hangs"), *quick("GradientBoosting"))
    found = Table().search(limits(max_trials=None, seconds=2.0))
    assert found.algorithm == "GradientBoosting"
    assert next(one for one in found.leaderboard if one.algorithm == "hangs").state == "timeout"
    assert found.seconds < 15


def test_a_count_of_trials_does_not_outlast_the_time(algorithms):
    algorithms(*quick("GradientBoosting"))
    found = Table().search(limits(max_trials=10_000, seconds=3.0, early_stop=False))
    assert re.fullmatch(r"the time was over after \d+ of 10000 trials", found.stopped)
    assert found.seconds < 20


def test_a_class_of_one_row_is_learned_all_the_same(algorithms):
    algorithms(*quick(*ALGORITHMS))
    table = Table(classes=3)
    rare = np.flatnonzero(table.labels == 1)
    table.labels[rare[1:]] = 2
    found = table.search(limits(max_trials=len(ALGORITHMS)))
    assert {one.state for one in found.leaderboard} <= {"ok", "abandoned"}
    assert predict(found.model, table.raw).shape == (400, 3)


def test_a_search_without_one_good_trial_says_what_happened(algorithms):
    algorithms(faulty("raises"))
    with pytest.raises(StepFailed, match="found no model") as failed:
        Table().search(limits(max_trials=1))
    assert "not to my taste" in failed.value.why


def test_the_winner_is_a_vote_only_where_it_beats_every_single_trial(algorithms):
    algorithms(*quick())
    table = Table()
    found = table.search(limits(metric="accuracy"))
    singles = [one.score for one in found.leaderboard if one.name != "Vote" and one.score is not None]
    if len(found.members) > 1:
        assert found.score > max(singles)
    else:
        assert found.score == max(singles)
    alone = table.search(limits(metric="accuracy", vote=False))
    assert len(alone.members) == 1
    assert alone.score == max(singles)


@pytest.mark.parametrize(("imbalance", "judged"), [("none", "log_loss"), ("class_weight", "average_precision")])
def test_a_vote_for_a_ranking_is_chosen_by_the_log_loss_of_untreated_probabilities(algorithms, monkeypatch, imbalance, judged):
    asked: list[str] = []

    def best_vote(metric, labels, chances, at_most):
        asked.append(metric)
        return module.Vote(members=(0, 1), weights=(0.5, 0.5), score=1.0)

    algorithms(*quick("GradientBoosting", "LogisticRegression"))
    monkeypatch.setattr(module, "best_vote", best_vote)
    found = Table().search(limits(max_trials=2, imbalance=imbalance))
    assert set(asked) == {judged}
    assert judged.replace("_", " ") in found.leaderboard[0].detail


def test_the_graph_of_the_winner_takes_raw_columns_and_derives_the_rest(algorithms):
    algorithms(*quick())
    table = Table(derived=[{"name": "per size", "expression": 'count / (column("size in cm") + 1)'}])
    found = table.search(limits(max_trials=3))
    answered = predict(found.model, table.raw)
    assert answered.shape == (len(table.raw), 2)
    # Fitted on these very rows, so better there than out of fold.
    assert score("average_precision", table.labels, answered) > found.score


def test_the_score_is_that_of_the_predictions_out_of_fold(algorithms):
    algorithms(*quick("LogisticRegression"))
    table = Table()
    found = table.search(limits(max_trials=1, metric="log_loss"))
    assert found.rows.all()
    assert found.score == pytest.approx(-score("log_loss", table.labels, found.probabilities), abs=1e-3)
    assert found.score > 0


def test_a_search_ends_at_its_exit_score(algorithms):
    algorithms(*quick())
    found = Table().search(limits(max_trials=30, exit_score=0.1))
    assert "exit score 0.1" in found.stopped
    assert len(found.leaderboard) <= 3


def test_a_search_ends_where_nothing_better_is_found(algorithms, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 2)
    algorithms(*quick("LogisticRegression"))
    found = Table().search(limits(max_trials=60))
    assert "brought nothing better" in found.stopped
    assert sum(one.name != "Vote" for one in found.leaderboard) <= 10
    patient = Table().search(limits(max_trials=8, early_stop=False))
    assert patient.stopped == "8 trials were made"


def test_a_search_that_is_asked_to_stop_keeps_the_best_so_far(algorithms):
    algorithms(*quick("GradientBoosting"), faulty("hangs"))
    told: list[str] = []
    found = Table().search(limits(max_trials=None), told=told, stop=lambda: bool(told))
    assert found.stopped == "it was interrupted"
    assert found.algorithm == "GradientBoosting"
    assert found.seconds < 30


def test_the_time_is_kept_and_the_curve_shows_what_it_bought(algorithms):
    algorithms(*quick())
    found = Table().search(limits(max_trials=None, seconds=4.0))
    assert found.seconds < 8
    assert {one.state for one in found.leaderboard} <= {"ok", "abandoned", "unfinished"}
    times, scores = zip(*found.curve, strict=True)
    assert list(times) == sorted(times)
    assert list(scores) == sorted(scores)


def test_progress_tells_best_trials_and_time_left(algorithms):
    algorithms(*quick("LogisticRegression"))
    told: list[str] = []
    Table().search(limits(max_trials=1), told=told)
    assert "best 0." in told[0]
    assert "1 trials" in told[0]
    assert "s left" in told[0]


def test_a_table_too_large_for_the_time_is_tried_on_one_fold_and_fewer_rows(algorithms, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setattr(module, "PROBED_ROWS", 200)
    algorithms(*quick("CatBoost"))
    table = Table(rows=4000)
    found = table.search(limits(max_trials=None, seconds=0.2))
    assert found.plan.folds == (0,)
    assert found.plan.share < 1
    assert found.rows.sum() == len(found.probabilities) < 4000


def test_a_treatment_is_compared_with_none_on_the_same_folds(algorithms):
    algorithms(*quick("GradientBoosting"))
    found = Table().search(limits(max_trials=1, imbalance="class_weight"))
    none, weighted, mended = found.treatments
    assert [one.name for one in found.treatments] == ["none", "class_weight", "class_weight, calibrated"]
    assert weighted.metrics["log_loss"] > none.metrics["log_loss"]
    assert mended.metrics["log_loss"] < weighted.metrics["log_loss"]
    assert mended.metrics["average_precision"] == pytest.approx(weighted.metrics["average_precision"])
    assert not found.calibration.changes_nothing


def test_a_model_whose_graph_answers_otherwise_is_left_out(algorithms, monkeypatch):
    algorithms(*quick("GradientBoosting", "LogisticRegression"))
    whole = module.Search.alike
    monkeypatch.setattr(module.Search, "alike", lambda self, part, native: not hasattr(part, "trees") and whole(self, part, native))
    monkeypatch.setattr(
        module, "best_vote", lambda metric, labels, chances, at_most: module.Vote(members=(0, 1), weights=(0.5, 0.5), score=1.0)
    )
    found = Table().search(limits(max_trials=2))
    assert found.algorithm == "LogisticRegression"
    left_out = next(one for one in found.leaderboard if one.algorithm == "GradientBoosting")
    assert (left_out.state, left_out.score) == ("failed", None)
    assert "ONNX" in left_out.detail


def test_where_the_chosen_model_can_not_be_served_the_next_best_is(algorithms, monkeypatch):
    algorithms(*quick())
    whole, refused = module.Search.alike, []

    def alike(self, part, native):
        if not refused:
            refused.append(part)
            return False
        return whole(self, part, native)

    monkeypatch.setattr(module.Search, "alike", alike)
    found = Table().search(limits(max_trials=3, vote=False))
    (left_out,) = (one for one in found.leaderboard if one.state == "failed")
    assert "ONNX" in left_out.detail
    assert found.algorithm != left_out.algorithm
    assert found.score == max(one.score for one in found.leaderboard if one.score is not None)


def test_a_search_whose_models_can_not_be_served_says_why(algorithms, monkeypatch):
    algorithms(*quick("LogisticRegression"))
    monkeypatch.setattr(module.Search, "alike", lambda self, part, native: False)
    with pytest.raises(StepFailed, match="found no model") as failed:
        Table().search(limits(max_trials=1))
    assert "ONNX" in failed.value.why


def test_what_is_left_of_a_vote_is_served_only_where_it_beats_the_best_alone(algorithms, monkeypatch):
    algorithms(*quick("GradientBoosting", "XGBoostClassifier", "LogisticRegression"))
    weights = module.Vote(members=(0, 1, 2), weights=(0.2, 0.3, 0.5), score=1.0)  # most of it on the worst
    monkeypatch.setattr(module, "best_vote", lambda metric, labels, chances, at_most: weights)
    monkeypatch.setattr(module, "size_of", lambda part: 1)
    monkeypatch.setattr(module, "LARGEST", 2)
    found = Table().search(limits(max_trials=3, metric="log_loss"))
    best = min((one for one in found.leaderboard if one.score is not None), key=lambda one: one.score)
    assert [name for name, *_ in found.members] == [best.name]


def test_a_model_too_large_to_serve_is_left_out_though_it_is_the_best(algorithms, monkeypatch):
    algorithms(*quick("GradientBoosting", "LogisticRegression"))
    monkeypatch.setattr(module, "size_of", lambda part: 6_000_000 if hasattr(part, "trees") else 1)
    both = module.Vote(members=(0, 1), weights=(0.5, 0.5), score=1.0)
    monkeypatch.setattr(module, "best_vote", lambda metric, labels, chances, at_most: both)
    found = Table().search(limits(max_trials=2))
    assert found.algorithm == "LogisticRegression"
    left_out = next(one for one in found.leaderboard if one.algorithm == "GradientBoosting")
    assert left_out.state == "failed"
    assert "6.0 MB" in left_out.detail


def test_a_vote_that_would_be_too_large_to_serve_keeps_its_heaviest_members(algorithms, monkeypatch):
    algorithms(*quick("GradientBoosting", "XGBoostClassifier", "LogisticRegression"))
    weights = module.Vote(members=(0, 1, 2), weights=(0.5, 0.3, 0.2), score=1.0)
    monkeypatch.setattr(module, "best_vote", lambda metric, labels, chances, at_most: weights)
    whole = Table().search(limits(max_trials=3))
    monkeypatch.setattr(module, "LARGEST", int(0.8 * len(whole.model)))
    light = Table().search(limits(max_trials=3))
    assert len(whole.members) == 3
    assert len(light.members) < 3
    assert len(light.model) < len(whole.model)
    assert sum(weight for *_, weight in light.members) == pytest.approx(1)


def test_the_heaviest_members_for_which_there_is_room_stay_and_are_judged_anew(monkeypatch):
    random = np.random.default_rng(1)
    labels = (random.random(300) < 0.3).astype(np.int64)
    good = []
    for algorithm in quick("GradientBoosting", "XGBoostClassifier", "LogisticRegression"):
        (candidate,) = portfolio([algorithm])
        positive = np.clip(0.3 + 0.3 * labels + 0.3 * random.normal(size=300), 0, 1).astype(np.float32)
        row = trials.row_of(candidate, 0.5, 1.0, "ok", "")
        good.append(trials.TrialResult(candidate=candidate, row=row, worth=0.5, probabilities=np.stack([1 - positive, positive], axis=1)))
    sizes = dict(zip([tried.candidate.name for tried in good], (50, 60, 30), strict=True))
    monkeypatch.setattr(module, "size_of", lambda size: size)
    monkeypatch.setattr(module, "LARGEST", 100)
    run = SimpleNamespace(voted_by="log_loss", labels=labels, trials=SimpleNamespace(judged=slice(None)))
    run.with_score = lambda vote, good: module.Search.with_score(run, vote, good)
    whole = Vote(members=(0, 1, 2), weights=(0.2, 0.5, 0.3), score=1.0)
    light = module.Search.light_enough(run, whole, good, sizes)
    assert light.members == (1, 2)
    assert light.weights == pytest.approx((0.625, 0.375))
    assert light.score == pytest.approx(score("log_loss", labels, voted([one.probabilities for one in good], light)))
    assert module.Search.light_enough(run, whole, good, dict.fromkeys(sizes, 1)) == whole
