"""What act can't see, and what a reviewer would otherwise have to remember: the rules of the workflow files."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflows.github import ACTIONS

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
SETUP = REPO / ".github" / "actions" / "setup" / "action.yml"
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
}


def read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    loaded["on"] = loaded.pop(True)  # YAML 1.1 reads the word as a boolean
    return loaded


WORKFLOWS = {file.name: read(file) for file in FILES}
JOBS = [(name, job, body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()]
STEPS = [(name, job, step) for name, job, body in JOBS for step in body.get("steps", [])]
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
    [("github-workflows", FILES), ("github-actions", [SETUP]), ("dependabot", [REPO / ".github" / "dependabot.yml"])],
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
    allowed = {("retrain.yml", "look"): {"contents", "pull-requests"}, ("watch.yml", "watch"): {"issues"}}.get((file, job), set())
    writes = {name for name, right in body["permissions"].items() if right == "write"} - {"id-token", "attestations"}
    assert writes == allowed


@jobs
def test_what_reaches_users_waits_for_a_person(file: str, job: str, body: dict[str, Any]) -> None:
    runs = " ".join(step.get("run", "") for step in body.get("steps", []))
    reaches_users = bool(re.search(r"pushline (promote|rollback(?! --plan)|deploy|stop|keys)", runs))
    assert reaches_users == ((file, job) in APPROVED)
    if reaches_users:
        assert body["environment"] == "production"
        assert body["concurrency"] == {"group": "release", "cancel-in-progress": False}


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
        "retrain.yml": ["repository_dispatch", "schedule", "workflow_dispatch"],
        "rollback.yml": ["workflow_dispatch"],
        "score-batch.yml": ["workflow_dispatch"],
        "watch.yml": ["schedule", "workflow_dispatch"],
    }
    assert WORKFLOWS["deliver.yml"]["on"]["push"] == {"branches": ["main"]}
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
    line = next(line for line in (FOLDER / file).read_text(encoding="utf-8").splitlines() if uses in line)
    assert re.search(r"# v\d+\.\d+\.\d+$", line), "the version stands behind the pin"
    assert (ACTIONS / uses.split("/")[1].split("@")[0] / "action.yml").is_file(), "an action without a stand-in was never executed"


def assert_known_command(words: list[str]) -> None:
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
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


def test_only_the_setup_action_installs() -> None:
    installing = re.compile(r"pip install|uv |apt-get|npm |make setup")
    assert not [file.name for file in FILES if installing.search(file.read_text(encoding="utf-8"))]
    assert "make setup" in SETUP.read_text(encoding="utf-8")


def test_the_stages_stand_in_the_order_of_the_flow() -> None:
    from pushline.delivery import STAGES

    names = [step.get("name") for name, job, step in STEPS if name == "deliver.yml"]
    stages = [name for name in names if name in STAGES]
    assert list(dict.fromkeys(stages)) == ["fetch", *[stage for stage in STAGES if stage != "fetch"]]


def test_an_artifact_that_is_taken_was_kept_by_a_job_before() -> None:
    kept: dict[str, set[str]] = {}
    for job, body in WORKFLOWS["deliver.yml"]["jobs"].items():
        before = set().union(*(kept[need] for need in needs_of(body))) if needs_of(body) else set()
        for step in body["steps"]:
            if "download-artifact" in step.get("uses", ""):
                assert step["with"].get("name", step["with"].get("pattern")) in before
        mine = {step["with"]["name"] for step in body["steps"] if "upload-artifact" in step.get("uses", "")}
        kept[job] = before | mine


def test_only_the_first_job_of_a_rerun_takes_results_of_the_earlier_run() -> None:
    """Later jobs go on with what this run made: else a new training would end as the release of the old one."""
    first = {"train": "train", "register": "register", "evidence": "deploy", "release": "deploy"}
    for job, body in WORKFLOWS["deliver.yml"]["jobs"].items():
        for step in (step for step in body["steps"] if "download-artifact" in step.get("uses", "")):
            assert f"inputs.from == '{first[job]}' && inputs.run || github.run_id" in step["with"]["run-id"]


def needs_of(body: dict[str, Any]) -> list[str]:
    needs = body.get("needs", [])
    return [needs] if isinstance(needs, str) else needs
