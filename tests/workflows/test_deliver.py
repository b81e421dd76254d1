"""What runs on a repository that was delivered once: deliver.yml, rollback.yml, score-batch.yml and watch.yml, with their real stages."""

import json
import re
import shutil
from pathlib import Path

import pytest

from pushline.signing import SIGNATURE
from pushline.signing.bundle import read_bundle
from pushline.signing.verification import read_statement
from small_table import ROWS
from workflows.github import Run
from workflows.repository import Repository

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(900)]

# Another seed, which gives another model than the champion's, and a gain that no retraining on the same data reaches.
NOT_BETTER = {"PUSHLINE_TRAINING__SEED": "8", "PUSHLINE_PROMOTION__MINIMUM_GAIN": "0.3"}
STAGES = ("deploy", "smoke", "load-test", "promote")
AGAIN = {"from": "deploy", "version": "1"}


@pytest.fixture(scope="module")
def repository(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(repo, tmp_path_factory.mktemp("github"))


@pytest.fixture(scope="module")
def first(repository: Repository) -> Run:
    """The delivery of the first push; what runs after the approval starts an interpreter for every command, as on GitHub."""
    run = repository.push(cold=("release",))
    assert run.code == 0, run.explain()
    return run


@pytest.fixture(scope="module")
def killed(repository: Repository, first: Run) -> Run:
    """A push that changes nothing that training depends on: version 1 is to be released a second time. The runner dies."""
    (repository.github.origin / "README.md").write_text("Newer words.", encoding="utf-8")
    repository.github.commit()
    return repository.push(stop_when="Offering")


@pytest.fixture(scope="module")
def again(repository: Repository, killed: Run) -> Run:
    """The same version once more by hand, to its end."""
    run = repository.dispatch("deliver.yml", AGAIN)
    assert run.code == 0, run.explain()
    return run


def test_a_push_goes_through_all_jobs_in_their_order(first: Run) -> None:
    assert first.ran == ["check-data", "train", "register", "evidence", "release"]
    assert [name for name, _ in first.jobs["release"].steps if name in STAGES] == list(STAGES)
    assert first.jobs["release"].step("discard") == "skipped"


def test_each_job_takes_what_the_one_before_left(repository: Repository, first: Run) -> None:
    assert repository.github.artifacts(first) == [
        "challenger", "registry", "stage-check-data", "stage-register", "stage-release", "stage-train",
    ]  # fmt: skip
    promoted = repository.result(first, "stage-release", "promote")
    assert promoted["release"]["model_version"] == "1"


def test_no_row_of_data_travels(repository: Repository, first: Run) -> None:
    kept = [file for file in (repository.github.store / first.id).rglob("*") if file.is_file()]
    assert kept
    assert not [file.name for file in kept if file.suffix in (".parquet", ".csv")]


def test_no_key_travels(repository: Repository, first: Run) -> None:
    kept = [file for file in (repository.github.store / first.id).rglob("*") if file.is_file()]
    assert not [file for file in kept if file.name == "keys.json" or b'"primary"' in file.read_bytes()]


def test_the_approver_reads_all_of_the_evidence_and_nothing_is_missing_from_it(repository: Repository, first: Run) -> None:
    """The page as a person sees it: every figure of this run, the findings, the decision, the card, and of which run all of it is."""
    page = first.jobs["evidence"].summary
    trained = repository.result(first, "stage-train", "train")
    decided = repository.result(first, "stage-register", "register")
    checked = repository.result(first, "stage-check-data", "check-data")
    for absent in ("in this run", "Nobody recorded", "Nobody is asked", "No comparison", ":::stale", ":::failed", ":::refused"):
        assert absent not in page, absent
    assert f"Evidence of [run {first.id}](https://github.com/example/bank/actions/runs/{first.id})" in page
    assert decided["decision"]["reason"] in page
    for figure in trained["metrics"].values():
        assert f"{figure['low']:.4f} to {figure['high']:.4f}" in page
    assert all(finding["message"] in page for finding in checked["findings"])
    assert f"{checked['rows']:,} rows" in page
    for stage in ("fetch", "check-data", "train", "register"):
        assert re.search(rf"<b>{stage}</b><br/>done", page), stage
    card = (repository.github.store / first.id / "stage-train" / "train" / "card.md").read_text(encoding="utf-8")
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert len(headings) >= 3
    assert all(heading in page for heading in headings)


def test_every_job_writes_its_summary(first: Run) -> None:
    for job in ("check-data", "train", "register"):
        assert f"## {job}" in first.jobs[job].summary


def test_a_public_repository_attests_the_model_and_what_it_needs(repository: Repository, first: Run) -> None:
    place = repository.github.scratch / "attestations"
    sbom = json.loads((place / f"{first.id}-sbom.json").read_text(encoding="utf-8"))
    model = repository.github.store / first.id / "stage-train" / "train" / "model"
    attested = read_bundle((place / f"{first.id}-model.jsonl").read_bytes())
    statement = read_statement(attested.dsse_envelope.payload)
    whole = sorted(file.relative_to(model).as_posix() for file in model.rglob("*") if file.is_file() and file.name != SIGNATURE)
    assert [resource.name for resource in statement.predicate.resources] == whole
    assert sbom["digest"] == statement.digest
    assert sbom["components"] > 20


def test_what_is_released_is_what_the_workflow_signed(repository: Repository, first: Run) -> None:
    """The attestation is kept with the version, and the release was deployed because it holds."""
    model = repository.github.store / first.id / "stage-train" / "train" / "model"
    kept = read_bundle((model / SIGNATURE).read_bytes())
    assert kept.verification_material.certificate is not None
    released = repository.result(first, "stage-release", "deploy")["release"]
    assert released["manifest"] == read_statement(kept.dsse_envelope.payload).digest


def test_a_rollback_with_nothing_to_go_back_to_is_refused_before_anybody_is_asked(repository: Repository, first: Run) -> None:
    run = repository.dispatch("rollback.yml")
    assert run.code != 0
    assert run.ran == ["evidence"]
    assert any(level == "error" and "no previous release" in message for level, message, _ in run.jobs["evidence"].annotations)


@pytest.fixture(scope="module")
def retrained(repository: Repository, first: Run) -> Run:
    """Somebody wants a new model of the data that main pins, now; it is not better."""
    run = repository.dispatch("retrain.yml", {"now": "true"}, env=NOT_BETTER)
    assert run.code == 0, run.explain()
    return run


def test_retraining_now_delivers_what_main_pins_and_looks_at_no_source(repository: Repository, first: Run, retrained: Run) -> None:
    assert retrained.ran == [f"deliver/{name}" for name in ("check-data", "train", "register", "evidence")]
    known = [repository.result(run, "stage-check-data", "fetch")["data_version"] for run in (first, retrained)]
    assert known[0] == known[1]
    assert "pulls" not in repository.github.known


def test_a_challenger_that_is_not_better_ends_green_and_nothing_is_deployed(repository: Repository, retrained: Run) -> None:
    decided = repository.result(retrained, "stage-register", "register")
    assert (decided["version"], decided["champion"], decided["decision"]["accept"]) == ("2", "1", False)
    assert "stage-release" not in repository.github.artifacts(retrained)


@pytest.mark.parametrize("start", ["train", "register"])
def test_a_rerun_from_a_stage_takes_what_the_earlier_run_left(start: str, repository: Repository, first: Run, retrained: Run) -> None:
    run = repository.dispatch("deliver.yml", {"from": start, "run": retrained.id}, env=NOT_BETTER)
    assert run.code == 0, run.explain()
    assert run.ran == [*(["train"] if start == "train" else []), "register", "evidence"]
    assert "delivered meanwhile" not in run.jobs["evidence"].text  # later jobs go on with what this run has made
    decided = repository.result(run, "stage-register", "register")
    assert (decided["champion"], decided["decision"]["accept"]) == ("1", False)


def test_a_refused_approval_deploys_nothing(repository: Repository, first: Run) -> None:
    run = repository.dispatch("deliver.yml", {"from": "deploy", "run": first.id}, refused="production")
    assert run.ran == ["evidence"], run.explain()
    assert "version 1" in run.jobs["evidence"].summary
    assert repository.github.artifacts(run) == []


def test_a_strangers_run_is_refused_before_anybody_is_asked(repository: Repository, first: Run) -> None:
    """A pull request of a fork ran a deliver.yml of its own and left artifacts called like ours."""
    shutil.copytree(repository.github.store / first.id, repository.github.store / "7", dirs_exist_ok=True)
    repository.github.about["7"] = {
        "workflow": "deliver.yml",
        "event": "pull_request",
        "conclusion": "success",
        "branch": "main",
        "fork": 2,
    }
    run = repository.dispatch("deliver.yml", {"from": "deploy", "run": "7"})
    assert run.ran == ["evidence"], run.explain()
    assert run.jobs["evidence"].result == "failure"
    assert any("another repository's commit" in message for level, message, _ in run.jobs["evidence"].annotations if level == "error")


def test_a_version_that_was_not_accepted_is_refused_before_anybody_is_asked(repository: Repository, retrained: Run) -> None:
    run = repository.dispatch("deliver.yml", {"from": "deploy", "run": retrained.id})
    assert run.ran == ["evidence"], run.explain()
    assert any("was not accepted" in message for level, message, _ in run.jobs["evidence"].annotations if level == "error")


def test_a_push_that_changes_nothing_that_training_depends_on_trains_nothing_and_says_so(
    repository: Repository, first: Run, killed: Run
) -> None:
    before, trained = (repository.result(run, "stage-train", "train") for run in (first, killed))
    assert (trained["taken_from"], trained["run_id"], trained["git_revision"]) == ("1", before["run_id"], before["git_revision"])
    assert "the result of version 1 is taken" in killed.jobs["train"].text
    assert "not trained again" in killed.jobs["train"].summary.lower()
    assert "prepare: done" not in killed.jobs["train"].text
    decided = repository.result(killed, "stage-register", "register")
    assert (decided["version"], decided["champion"], decided["decision"]["accept"]) == ("1", "1", True)


def test_a_release_killed_half_way_is_taken_up_by_a_rerun(repository: Repository, killed: Run, again: Run) -> None:
    assert killed.code != 0
    assert (killed.jobs["release"].step("smoke"), killed.jobs["release"].step("promote")) == ("success", "skipped")
    assert not {"registry", "stage-release"} & set(repository.github.artifacts(killed))
    assert again.jobs["release"].step("promote") == "success"


def test_an_older_version_is_released_again_from_deploy(repository: Repository, first: Run, again: Run) -> None:
    assert again.ran == ["evidence", "release"]
    before, after = (repository.result(run, "stage-release", "promote") for run in (first, again))
    assert after["release"]["model_version"] == "1"
    assert after["release"]["id"] != before["release"]["id"]


def test_a_rollback_waits_for_its_approval_with_what_it_goes_back_to_in_sight(repository: Repository, first: Run, again: Run) -> None:
    before = repository.result(first, "stage-release", "promote")["release"]["id"]
    run = repository.dispatch("rollback.yml", refused="production")
    assert run.ran == ["evidence"], run.explain()
    assert before in run.jobs["evidence"].summary
    assert repository.github.artifacts(run) == []


def test_a_rollback_brings_the_previous_release_back_and_records_it(repository: Repository, first: Run, again: Run) -> None:
    before = repository.result(first, "stage-release", "promote")["release"]["id"]
    run = repository.dispatch("rollback.yml")
    assert run.code == 0, run.explain()
    assert run.ran == ["evidence", "rollback"]
    assert before in run.jobs["rollback"].text
    assert repository.github.artifacts(run) == ["registry"]


def test_score_batch_scores_with_the_champion(repository: Repository, first: Run) -> None:
    run = repository.dispatch("score-batch.yml", {"input": str(repository.data), "format": "csv"})
    assert run.code == 0, run.explain()
    kept = list((repository.github.store / run.id / "scores").iterdir())
    assert [file.name for file in kept] == ["scores.csv"]
    assert len(kept[0].read_text(encoding="utf-8").splitlines()) == ROWS + 1


def test_watch_says_plainly_that_a_release_ends_with_its_job(repository: Repository, first: Run) -> None:
    run = repository.github.run("watch.yml", "schedule", env=repository.env)
    assert run.code == 0, run.explain()
    assert "There is no live service to look after" in run.jobs["watch"].summary
    assert repository.github.known.get("issues", []) == []
