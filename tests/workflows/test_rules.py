"""What act can't see, and what a reviewer would otherwise have to remember: the rules of the workflow files."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflows.github import ACTIONS

REPO = Path(os.environ.get("RULES_FOR") or Path(__file__).resolve().parents[2])  # tests/workflows/test_mutations.py has others
FOLDER = REPO / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
SETUP = REPO / ".github" / "actions" / "setup" / "action.yml"
KEEP = REPO / ".github" / "actions" / "keep" / "action.yml"
APPROVED = {("deliver.yml", "release"), ("rollback.yml", "rollback")}
# Jobs that may ask GitHub for an identity, with the environment that binds it on Azure.
IDENTITY = {
    ("deliver.yml", "train"): "training",
    ("deliver.yml", "register"): "training",
    ("deliver.yml", "evidence"): "training",
    ("deliver.yml", "release"): "production",
    ("rollback.yml", "evidence"): "training",
    ("rollback.yml", "rollback"): "production",
    ("score-batch.yml", "score-batch"): "training",
    ("publish.yml", "publish"): "training",
    ("watch.yml", "watch"): "training",
    ("release.yml", "wheel"): "engine",
}


WRITES = {
    ("upgrade.yml", "upgrade"): {"contents", "pull-requests"},
    ("retrain.yml", "look"): {"contents", "pull-requests"},
    ("watch.yml", "watch"): {"issues"},
    ("release.yml", "wheel"): {"contents"},
}


def read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    if True in loaded:
        loaded["on"] = loaded.pop(True)  # YAML 1.1 reads the word as a boolean
    return loaded


WORKFLOWS = {file.name: read(file) for file in FILES}
JOBS = [(name, job, body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()]
COMPOSITES = {"setup": read(SETUP)["runs"]["steps"], "keep": read(KEEP)["runs"]["steps"]}
STEPS = [(name, job, step) for name, job, body in JOBS for step in body.get("steps", [])]
STEPS += [(f"actions/{name}", name, step) for name, steps in COMPOSITES.items() for step in steps]
jobs = pytest.mark.parametrize(("file", "job", "body"), JOBS, ids=[f"{name}:{job}" for name, job, _ in JOBS])
workflows = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    place = Path(sys.executable).parent
    return subprocess.run([str(place / arguments[0]), *arguments[1:]], cwd=REPO, capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing() -> None:
    done = tool("actionlint", *map(str, FILES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    done = tool("zizmor", "--offline", "--pedantic", ".github")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", FILES), ("github-actions", [SETUP, KEEP]), ("dependabot", [REPO / ".github" / "dependabot.yml"])],
)
def test_the_files_are_valid_for_githubs_schemas(schema: str, files: list[Path]) -> None:
    done = tool("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files))
    assert done.returncode == 0, done.stdout + done.stderr


@workflows
def test_a_workflow_has_no_rights_of_its_own(file: Path) -> None:
    assert WORKFLOWS[file.name]["permissions"] == {}


@workflows
def test_a_workflow_never_runs_with_rights_for_a_strangers_code(file: Path) -> None:
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(WORKFLOWS[file.name]["on"])


@workflows
def test_commands_stop_at_their_first_failure(file: Path) -> None:
    """Without a named shell a pipe's failure is lost."""
    if any("run" in step for name, _, step in STEPS if name == file.name):
        assert WORKFLOWS[file.name]["defaults"]["run"]["shell"] == "bash"


@jobs
def test_a_job_has_a_time_limit_and_names_its_rights(file: str, job: str, body: dict[str, Any]) -> None:
    assert "permissions" in body
    assert "uses" in body or 1 <= body["timeout-minutes"] <= 360


@jobs
def test_only_named_jobs_may_ask_for_an_identity(file: str, job: str, body: dict[str, Any]) -> None:
    asks = body["permissions"].get("id-token") == "write"
    if "uses" in body:  # what it calls asks, under its own environments
        return
    assert asks == ((file, job) in IDENTITY)
    if asks:
        assert IDENTITY[file, job] in str(body["environment"])


@jobs
def test_no_job_may_write_what_it_need_not(file: str, job: str, body: dict[str, Any]) -> None:
    allowed = WRITES.get((file, job), set())
    writes = {name for name, right in body["permissions"].items() if right == "write"} - {"id-token", "attestations"}
    assert writes == allowed


@jobs
def test_what_reaches_users_waits_for_a_person(file: str, job: str, body: dict[str, Any]) -> None:
    runs = " ".join(step.get("run", "") for step in body.get("steps", []))
    reaches_users = bool(re.search(r"pushline (promote|rollback(?! --plan)|deploy|stop|keys)", runs))
    assert reaches_users == ((file, job) in APPROVED)
    if reaches_users:
        assert body["environment"] == "production"
        # Of those that wait none takes the place of another: a release cancels no rollback, and a rollback no release.
        assert body["concurrency"] == {"group": "release", "cancel-in-progress": False, "queue": "max"}


def test_a_pull_request_cancels_its_older_runs_and_a_delivery_never_does() -> None:
    assert WORKFLOWS["checks.yml"]["concurrency"]["cancel-in-progress"] is True
    for name, workflow in WORKFLOWS.items():
        if name != "checks.yml":
            assert workflow.get("concurrency", {}).get("cancel-in-progress", False) is False


def test_checks_waits_for_every_other_job() -> None:
    all_jobs = WORKFLOWS["checks.yml"]["jobs"]
    assert set(all_jobs["checks"]["needs"]) == set(all_jobs) - {"checks"}
    assert all_jobs["checks"]["if"] == "always()"


def test_checks_never_touches_azure_nor_a_secret() -> None:
    text = (FOLDER / "checks.yml").read_text(encoding="utf-8")
    assert "id-token" not in text
    assert "secrets." not in text
    assert WORKFLOWS["checks.yml"]["env"]["PUSHLINE_TARGET"] == "local"


def test_no_workflow_reads_a_stored_secret() -> None:
    assert not [file.name for file in FILES if "secrets." in file.read_text(encoding="utf-8")]


def test_triggers_are_the_documented_ones() -> None:
    assert {name: sorted(workflow["on"]) for name, workflow in WORKFLOWS.items()} == {
        "checks.yml": ["merge_group", "pull_request"],
        "deliver.yml": ["push", "workflow_call", "workflow_dispatch"],
        "publish.yml": ["workflow_dispatch"],
        "release.yml": ["push"],
        "retrain.yml": ["repository_dispatch", "schedule", "workflow_dispatch"],
        "rollback.yml": ["workflow_dispatch"],
        "score-batch.yml": ["workflow_dispatch"],
        "upgrade.yml": ["schedule", "workflow_dispatch"],
        "watch.yml": ["schedule", "workflow_dispatch"],
    }
    prose = ["**.md", "docs/**", "**.svg", "**.png", "**.webp", "LICENSE"]
    assert WORKFLOWS["deliver.yml"]["on"]["push"] == {"branches": ["main"], "paths-ignore": prose}
    assert not WORKFLOWS["checks.yml"]["on"]["pull_request"]  # a path filter here would leave the required check waiting for ever


@pytest.mark.parametrize(("file", "job", "step"), STEPS, ids=[f"{n}:{j}:{s.get('name', '?')}" for n, j, s in STEPS])
def test_a_step_is_one_command_that_exists_or_a_pinned_action(file: str, job: str, step: dict[str, Any]) -> None:
    assert step.get("name")
    if "uses" in step:
        assert_known_action(step["uses"], file)
    else:
        assert "\n" not in step["run"].strip()
        assert "${{" not in step["run"]
        assert_known_command(shlex.split(step["run"]))


def assert_known_action(uses: str, file: str) -> None:
    if uses.startswith("./"):
        assert (REPO / uses / "action.yml").is_file()
        return
    assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", uses), "actions are pinned to a commit"
    place = FOLDER / file if file in WORKFLOWS else REPO / ".github" / file / "action.yml"
    line = next(line for line in place.read_text(encoding="utf-8").splitlines() if uses in line)
    assert re.search(r"# v\d+\.\d+\.\d+$", line), "the version stands behind the pin"
    assert (ACTIONS / uses.split("/")[1].split("@")[0] / "action.yml").is_file(), "an action without a stand-in was never executed"


def assert_known_command(words: list[str]) -> None:
    if words[0] == "make":
        made = (REPO / "Makefile").read_text(encoding="utf-8") + (REPO / "scripts" / "engine.mk").read_text(encoding="utf-8")
        assert re.search(rf"^{words[1]}:", made, re.MULTILINE)
        return
    from click.testing import CliRunner

    from pushline.cli import pushline

    assert words[0] == "pushline"
    bare = [word for word in words[1:] if not word.startswith("$")]
    done = CliRunner().invoke(pushline, [*commands_of(bare), "--help"])
    assert done.exit_code == 0, done.output
    for option in (word for word in bare if word.startswith("--")):
        assert option in done.output, f"{option} is not an option of {bare}"


def commands_of(words: list[str]) -> list[str]:
    import click

    from pushline.cli import pushline

    found, here = [], pushline
    for word in words:
        if not isinstance(here, click.Group) or word not in here.commands:
            break
        found.append(word)
        here = here.commands[word]  # type: ignore[assignment]
    return found or words[:1]


@workflows
def test_a_workflow_is_short_and_says_nothing_five_times(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") < 220
    said = re.findall(r"\$\{\{ .*? \}\}", text)
    assert not [expression for expression in said if said.count(expression) >= 5]


def test_only_the_setup_action_installs() -> None:
    installing = re.compile(r"pip install|uv |apt-get|npm |make setup")
    assert not [file.name for file in FILES if installing.search(file.read_text(encoding="utf-8"))]
    assert "make setup" in SETUP.read_text(encoding="utf-8")


def test_the_stages_stand_in_the_order_of_the_flow() -> None:
    from pushline.delivery import STAGES

    names = [step.get("name") for name, job, step in STEPS if name == "deliver.yml"]
    stages = [name for name in names if name in STAGES]
    assert stages == [stage for stage in STAGES if stage != "fetch"]
    for job in ("check-data", "train", "register", "release"):
        assert setup_of("deliver.yml", job)["data"] is True
    assert COMPOSITES["setup"][-1]["run"] == "pushline fetch"


def steps_of(file: str, job: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = WORKFLOWS[file]["jobs"][job]["steps"]
    return steps


def setup_of(file: str, job: str) -> dict[str, Any]:
    """What a job asks of the action that sets it up."""
    (step,) = (step for step in steps_of(file, job) if step.get("uses") == "./.github/actions/setup")
    asked: dict[str, Any] = step.get("with", {})
    return asked


def test_a_job_gets_what_its_role_needs_and_production_nothing_that_trains_or_develops() -> None:
    for file, job, body in JOBS:
        if any(step.get("uses") == "./.github/actions/setup" for step in body.get("steps", [])):
            role = setup_of(file, job)["role"]
            assert (REPO / "requirements" / f"{role}.txt").is_file()
            assert role == "release" or body.get("environment") != "production"
    pinned = set(re.findall(r"^([\w.-]+)==", (REPO / "requirements" / "release.txt").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"mlflow", "locust", "azure-ai-ml"} <= pinned
    assert not {"ruff", "mypy", "zizmor", "hypothesis", "catboost", "flaml", "lightgbm", "great-expectations"} & pinned


def test_results_that_are_taken_were_kept_by_a_job_before() -> None:
    kept: dict[str, set[str]] = {}
    for job, body in WORKFLOWS["deliver.yml"]["jobs"].items():
        before = set().union(*(kept[need] for need in needs_of(body))) if needs_of(body) else set()
        if taken := setup_of("deliver.yml", job).get("results"):
            assert taken in before
        kept[job] = before | {
            step["with"]["results"] for step in body["steps"] if "results" in step.get("with", {}) and step["uses"].endswith("keep")
        }


def test_only_the_first_job_of_a_rerun_takes_results_of_the_earlier_run() -> None:
    """Later jobs go on with what this run made: else a new training would end as the release of the old one."""
    first = {"train": "train", "register": "register", "evidence": "deploy", "release": "deploy"}
    for job in WORKFLOWS["deliver.yml"]["jobs"]:
        wanted = f"${{{{ inputs.from == '{first[job]}' && inputs.run || '' }}}}" if job in first else None
        assert setup_of("deliver.yml", job).get("run") == wanted


def test_an_earlier_run_is_looked_at_before_anything_of_it_is_taken() -> None:
    """Only deliveries of the default branch of this repository: nothing that a pull request has left."""
    names = [step["name"] for step in COMPOSITES["setup"]]
    looked = next(step for step in COMPOSITES["setup"] if "check-run" in step.get("run", ""))
    assert looked["if"] == "inputs.run != ''"
    assert looked["env"]["RUN"] == "${{ inputs.run }}"
    downloads = [step for step in COMPOSITES["setup"] if "download-artifact" in step.get("uses", "")]
    assert len(downloads) == 2
    for step in downloads:
        assert step["with"]["run-id"] == "${{ inputs.run || github.run_id }}"
        assert names.index(looked["name"]) < names.index(step["name"])
    assert not [step for file, _, step in STEPS if "download-artifact" in step.get("uses", "") and file != "actions/setup"]


def test_every_job_that_reads_or_changes_the_registry_takes_it_up_first() -> None:
    uses_it = re.compile(r"pushline (train|register|evidence|deploy|promote|rollback|score-batch|watch)")
    for file, job, body in JOBS:
        if any(uses_it.match(step.get("run", "")) for step in body.get("steps", [])):
            assert setup_of(file, job).get("registry") is True, (file, job)
    restored = next(step for step in COMPOSITES["setup"] if step["name"] == "Registry")
    assert (restored["if"], restored["run"]) == ("inputs.registry == 'true'", 'pushline registry restore --if-gone "$IF_GONE"')
    assert restored["env"]["IF_GONE"] == "${{ env.IF_GONE || 'stop' }}"
    said = {name: workflow["env"]["IF_GONE"] for name, workflow in WORKFLOWS.items() if "IF_GONE" in workflow.get("env", {})}
    assert said == {"deliver.yml": "${{ inputs.registry || 'stop' }}"}


PUBLIC = "github.event.repository.visibility == 'public' || vars.PUSHLINE_ATTEST == 'true'"


def after(job: str, *, first: str) -> str:
    """A job goes on with what `job` has made, or where the delivery begins with it; whatever else was skipped."""
    return f"${{{{ !cancelled() && (needs.{job}.result == 'success' || (needs.{job}.result == 'skipped' && inputs.from == '{first}')) }}}}"


# Under which condition a step runs that has one. Whoever loosens a gate changes this table too, and a person reads both.
CONDITIONS = {
    ("deliver.yml", "check-data", "Keep"): "${{ !cancelled() }}",
    ("deliver.yml", "train", "preflight"): "env.PUSHLINE_TARGET != 'local'",
    ("deliver.yml", "train", "Attest the model"): PUBLIC,
    ("deliver.yml", "train", "sign"): "steps.attest.outcome == 'success'",
    ("deliver.yml", "train", "Attest what the model needs to run"): PUBLIC,
    ("deliver.yml", "release", "Decide again if the champion changed"): "inputs.version == ''",
    ("deliver.yml", "release", "deploy"): "steps.decide.outputs.accepted != 'false'",
    ("deliver.yml", "release", "smoke"): "steps.deploy.outcome == 'success'",
    ("deliver.yml", "release", "load-test"): "steps.deploy.outcome == 'success'",
    ("deliver.yml", "release", "promote"): "steps.deploy.outcome == 'success'",
    ("deliver.yml", "release", "Keep the registry"): "steps.promote.outcome == 'success'",
    ("deliver.yml", "release", "discard"): "failure() || cancelled()",
    ("deliver.yml", "release", "report"): "${{ !cancelled() }}",
    ("deliver.yml", "release", "Keep the results"): "${{ !cancelled() }}",
    ("checks.yml", "rehearsal", "Keep the report"): "${{ !cancelled() }}",
    ("retrain.yml", "look", "data propose"): "steps.refresh.outputs.changed == 'true'",
    ("upgrade.yml", "upgrade", "test"): "steps.upgrade.outputs.changed == 'true'",
    ("upgrade.yml", "upgrade", "rehearsal"): "steps.upgrade.outputs.changed == 'true'",
    ("upgrade.yml", "upgrade", "propose"): "steps.upgrade.outputs.changed == 'true'",
    ("score-batch.yml", "score-batch", "score-batch"): "${{ !inputs.cluster }}",
    ("score-batch.yml", "score-batch", "score-batch on the cluster"): "inputs.cluster",
}  # fmt: skip
JOB_CONDITIONS = {
    ("deliver.yml", "check-data"): "inputs.from == '' || inputs.from == 'check-data'",
    ("deliver.yml", "train"): after("check-data", first="train"),
    ("deliver.yml", "register"): after("train", first="register"),
    ("deliver.yml", "evidence"): after("register", first="deploy"),
    ("deliver.yml", "release"):
        "${{ !cancelled() && needs.evidence.result == 'success' && needs.evidence.outputs.accepted == 'true' && "
        "(inputs.from == 'deploy' || vars.PUSHLINE_APPROVAL != 'dispatch') }}",
    ("retrain.yml", "look"): "${{ !inputs.now }}",
    ("retrain.yml", "deliver"): "inputs.now && github.ref_name == github.event.repository.default_branch",
    ("checks.yml", "test"): "needs.plan.outputs.code == 'true'",
    ("checks.yml", "data"): "needs.plan.outputs.data == 'true'",
    ("checks.yml", "rehearsal"): "needs.plan.outputs.code == 'true' || needs.plan.outputs.data == 'true'",
    ("checks.yml", "checks"): "always()",
}  # fmt: skip


def test_a_step_or_job_runs_under_the_condition_that_is_written_down_here() -> None:
    there = {
        (file, job, step["name"]): " ".join(str(step["if"]).split()) for file, job, step in STEPS if "if" in step and file in WORKFLOWS
    }
    assert there == CONDITIONS
    assert {(file, job): " ".join(str(body["if"]).split()) for file, job, body in JOBS if "if" in body} == JOB_CONDITIONS


def test_nothing_may_fail_unseen() -> None:
    """No step, job or option of one lets a red command count as green."""
    assert not [where for *where, step in STEPS if "continue-on-error" in step]
    assert not [where for *where, body in JOBS if "continue-on-error" in body]
    assert not [where for *where, step in STEPS if re.search(r"\|\||;|&", step.get("run", ""))]


def test_a_release_is_decided_deployed_proven_promoted_recorded_and_what_failed_is_discarded_in_this_order() -> None:
    runs = [step.get("run") or step["with"] for step in steps_of("deliver.yml", "release")[2:]]
    assert runs == [
        "pushline register --again",
        'pushline deploy --version "$VERSION"',
        "pushline smoke",
        "pushline load-test",
        "pushline promote",
        {"released": True},
        "pushline discard",
        "pushline report",
        {"results": "stage-release"},
    ]
    assert needs_of(WORKFLOWS["deliver.yml"]["jobs"]["release"]) == ["evidence"]
    assert WORKFLOWS["deliver.yml"]["jobs"]["evidence"]["outputs"] == {"accepted": "${{ steps.evidence.outputs.accepted }}"}
    (evidence,) = (step for step in steps_of("deliver.yml", "evidence") if step.get("id") == "evidence")
    assert evidence["run"].startswith("pushline evidence ")
    assert evidence["env"]["FROM"] == "${{ inputs.from }}"


def test_a_rollback_shows_what_it_goes_back_to_and_records_what_it_did() -> None:
    assert [step["run"] for step in steps_of("rollback.yml", "evidence") if "run" in step] == ["pushline rollback --plan"]
    assert needs_of(WORKFLOWS["rollback.yml"]["jobs"]["rollback"]) == ["evidence"]
    done = [step.get("run") or step["with"] for step in steps_of("rollback.yml", "rollback")[2:]]
    assert done == ['pushline rollback --to "$PREVIOUS"', {"released": True}]
    assert WORKFLOWS["rollback.yml"]["jobs"]["evidence"]["outputs"] == {"previous": "${{ steps.plan.outputs.previous }}"}
    assert steps_of("rollback.yml", "rollback")[2]["env"] == {"PREVIOUS": "${{ needs.evidence.outputs.previous }}"}


def test_only_a_release_or_rollback_is_kept_as_what_later_runs_go_on_with() -> None:
    keeping = {(file, job) for file, job, step in STEPS if step.get("uses", "").endswith("actions/keep") and step["with"].get("released")}
    assert keeping == APPROVED
    packs = {step["run"]: step["if"] for step in COMPOSITES["keep"] if "run" in step}
    assert packs == {
        "pushline registry pack": "inputs.challenger == 'true'",
        "pushline registry pack --released": "inputs.released == 'true'",
    }
    names = [step["with"]["name"] for step in COMPOSITES["keep"] if "uses" in step]
    assert names == ["${{ inputs.released == 'true' && 'registry' || 'challenger' }}", "${{ inputs.results }}"]


def test_an_upgrade_is_proposed_after_tests_and_rehearsal_passed_on_it() -> None:
    runs = [step["run"] for step in steps_of("upgrade.yml", "upgrade") if "run" in step]
    assert runs == [
        'pushline upgrade --to "$TO" --if-any',
        "make test",
        'pushline run --sample --budget "$BUDGET"',
        "pushline upgrade --propose",
    ]
    given = [step["env"] for step in steps_of("upgrade.yml", "upgrade") if step["name"] in ("test", "rehearsal") if "env" in step]
    assert not [env for env in given if "GH_TOKEN" in env]


def test_a_pull_requests_data_may_name_public_sources_alone() -> None:
    fetching = [
        step["run"] for file, _, step in STEPS if file == "checks.yml" and re.match(r"pushline (fetch|data diff)", step.get("run", ""))
    ]
    assert fetching == ["pushline fetch --untrusted", 'pushline data diff "$BASE" --untrusted']
    assert not [
        job for file, job, _ in JOBS if file == "checks.yml" and "data" in (setup_of(file, job) if job not in ("plan", "checks") else {})
    ]


def test_a_newer_released_commit_is_looked_for_in_the_whole_history() -> None:
    for job in ("register", "release"):
        assert steps_of("deliver.yml", job)[0]["with"]["fetch-depth"] == 0


def test_a_cache_is_named_by_the_locks_of_what_it_holds() -> None:
    """A cache is written for one branch and read by the branches below it: main never reads what a pull request has written."""
    caches = [(file, step["with"]) for file, _, step in STEPS if "actions/cache" in step.get("uses", "")]
    assert {file for file, _ in caches} == {"actions/setup"}
    assert {(cache["path"], cache["key"]) for _, cache in caches} == {
        (
            ".venv",
            "venv-${{ runner.os }}-${{ runner.arch }}-${{ steps.python.outputs.python-version }}-${{ inputs.role }}-${{ "
            "hashFiles(format('requirements/{0}.txt', inputs.role), 'requirements/uv.txt', 'scripts/setup.py') }}",
        ),
        (".pushline/cache", "data-${{ hashFiles('data.lock') }}"),
    }
    assert all("restore-keys" not in cache for _, cache in caches)


def test_the_python_of_a_job_is_one_that_pull_requests_are_tested_on() -> None:
    default = read(SETUP)["inputs"]["python-version"]["default"]
    assert default in WORKFLOWS["checks.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]


def needs_of(body: dict[str, Any]) -> list[str]:
    needs = body.get("needs", [])
    return [needs] if isinstance(needs, str) else needs
