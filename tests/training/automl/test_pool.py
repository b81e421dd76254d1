from pathlib import Path

import numpy as np
import pytest

from pushline.training.automl.pool import Pool
from pushline.training.automl.proposals import portfolio
from pushline.training.automl.worker import Job
from training.automl.test_search import quick

pytestmark = pytest.mark.slow  # starts worker processes


def test_a_worker_that_died_between_two_jobs_is_replaced_and_the_job_done(tmp_path: Path):
    random = np.random.default_rng(1)
    matrix = random.normal(size=(90, 2)).astype(np.float32)
    for name, values in (("matrix", matrix), ("labels", (matrix[:, 0] > 0).astype(int)), ("folds", np.arange(90) % 3)):
        np.save(tmp_path / f"{name}.npy", values)
    (candidate,) = portfolio(quick("LogisticRegression"))
    with Pool(tmp_path, ("number", "number"), 2, workers=1) as pool:
        pool.wait_until_ready()
        (worker,) = pool._workers
        worker.process.kill()
        worker.process.join()
        pool.submit("job", Job(candidate=candidate, fold=0, seed=1, threads=1), 60)
        (outcome,) = pool.outcomes(lambda: float("inf"))
    assert (outcome.key, outcome.state) == ("job", "ok")
    assert outcome.fitted.probabilities.shape == (30, 2)
