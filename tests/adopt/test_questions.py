"""`adopt --interactive`: a person's answers, and what stands where there is none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adopt.tables import Table
from adopt.test_command import adopt, changed
from pushline.data.contract import load_contract
from pushline.project import Project
from pushline.settings import load_settings
from working_copy import copy_project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(repo: Path, tmp_path: Path) -> Project:
    return copy_project(repo, tmp_path)


@pytest.fixture
def visits(tmp_path: Path) -> Table:
    """Visits of customers, of whom some come always; `answer` is all but the label."""
    random = np.random.default_rng(4)
    customer = random.integers(0, 120, 900)
    loyal = np.random.default_rng(1).random(120)[customer]
    came = random.random(900) < loyal
    frame = pd.DataFrame(
        {
            "customer_id": customer,
            "sex": random.choice(["f", "m"], 900),
            "spent": random.gamma(2, 20, 900).round(2),
            "answer": np.where(came, random.normal(4, 1, 900), random.normal(0, 1, 900)).round(2),
            "came": np.where(came, "yes", "no"),
        }
    )
    frame.to_csv(tmp_path / "visits.csv", index=False)
    return Table(tmp_path / "visits.csv", "came")


def test_each_answer_is_in_the_contract_or_the_settings(project: Project, visits: Table) -> None:
    answers = ["n", "no", "5", "sex, spent", "1"]  # answer is known after; the class; the cost; who; rows as drawn
    ended = adopt(project, visits, "--interactive", "--apply", text="\n".join(answers) + "\n")
    assert ended.code == 0, ended.err
    contract, settings = load_contract(project.contract), load_settings(project.root)
    assert (contract.positive, contract.split, settings.training.objective) == ("no", None, "cost:5")
    assert {column.name for column in contract.columns if column.sensitive} == {"sex", "spent"}
    assert contract.by_name["answer"].known == "after"


def test_empty_answers_take_what_is_proposed_and_nothing_is_written_without_a_yes(project: Project, visits: Table) -> None:
    ended = adopt(project, visits, "--interactive", text="\n" * 6)
    assert (ended.code, changed(project)) == (0, ["?? visits.csv"]), ended.err
    assert "split by group customer_id" in ended.out
    assert "Nothing was written" in ended.out
