"""The rules would notice: each of these changes of a workflow makes a test of tests/workflows/test_rules.py fail."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workflows import test_rules

RULES = Path(test_rules.__file__)
DELIVER, SETUP, KEEP = "workflows/deliver.yml", "actions/setup/action.yml", "actions/keep/action.yml"
STAGE = "      - name: smoke\n        if: steps.deploy.outcome == 'success'\n        run: pushline smoke\n"
DISCARD = "        if: failure() || cancelled()\n"
CONDITION, ORDER = "test_a_step_or_job_runs_under", "test_a_release_is_decided"
# file, what is changed, into what, the rule that must say no
MUTATIONS = {
    "a stage is left out": (DELIVER, STAGE, "", ORDER),
    "a stage is misspelt": (DELIVER, "run: pushline smoke", "run: pushline smok", "test_a_step_is_one_command_that_exists"),
    "a stage may fail": (
        DELIVER,
        "run: pushline smoke\n",
        "run: pushline smoke\n        continue-on-error: true\n",
        "test_nothing_may_fail",
    ),
    "a stage's failure is caught": (DELIVER, "run: pushline smoke\n", "run: pushline smoke || true\n", "test_nothing_may_fail"),
    "a job may fail": (
        DELIVER,
        "    timeout-minutes: 20\n",
        "    timeout-minutes: 20\n    continue-on-error: true\n",
        "test_nothing_may_fail",
    ),
    "promoted although red": (
        DELIVER,
        "        if: steps.deploy.outcome == 'success'\n        run: pushline promote",
        "        if: always()\n        run: pushline promote",
        CONDITION,
    ),
    "discarded always": (DELIVER, DISCARD, "        if: always()\n", CONDITION),
    "discarded only on failure": (DELIVER, DISCARD, "        if: failure()\n", CONDITION),
    "never discarded": (DELIVER, f"      - name: discard\n{DISCARD}        run: pushline discard\n", "", ORDER),
    "not decided again": (DELIVER, "run: pushline register --again", "run: pushline status", ORDER),
    "decided again, and not listened to": (DELIVER, "        if: steps.decide.outputs.accepted != 'false'\n", "", CONDITION),
    "released although not accepted": (DELIVER, "needs.evidence.outputs.accepted == 'true' &&\n      ", "", CONDITION),
    "released without evidence": (DELIVER, "needs.evidence.result == 'success' && ", "", CONDITION),
    "the evidence is not waited for": (DELIVER, "    needs: evidence\n", "    needs: register\n", ORDER),
    "the evidence of nothing": (DELIVER, "needs.register.result == 'success' || ", "true || ", CONDITION),
    "the evidence refuses nothing": (DELIVER, 'FROM: "${{ inputs.from }}"', 'FROM: ""', ORDER),
    "an approval by hand is not waited for": (DELIVER, " || vars.PUSHLINE_APPROVAL != 'dispatch'", " || true", CONDITION),
    "nobody approves": (DELIVER, "    environment: production\n", "", "test_what_reaches_users_waits_for_a_person"),
    "a release cancels what waits": (DELIVER, "      queue: max\n", "", "test_what_reaches_users_waits_for_a_person"),
    "a rollback cancels what waits": ("workflows/rollback.yml", "      queue: max\n", "", "test_what_reaches_users_waits_for_a_person"),
    "an older commit is not noticed": (DELIVER, ", fetch-depth: 0", "", "test_a_newer_released_commit"),
    "an artifact has another name": (
        DELIVER,
        "results: stage-train, challenger",
        "results: stage-training, challenger",
        "test_results_that_are_taken",
    ),
    "a rerun releases an old result": (DELIVER, "inputs.from == 'deploy' && inputs.run", "inputs.run", "test_only_the_first_job"),
    "a stranger's run may be named": (SETUP, 'pushline registry check-run "$RUN"', "pushline status", "test_an_earlier_run_is_looked_at"),
    "a stranger's run is looked at afterwards": (
        SETUP,
        "      if: inputs.run != ''\n",
        "      if: inputs.run == 'x'\n",
        "test_an_earlier_run_is_looked_at",
    ),
    "the registry is not taken up": (DELIVER, ", registry: true", "", "test_every_job_that_reads"),
    "the registry of a failed release is kept": (
        DELIVER,
        "        if: steps.promote.outcome == 'success'\n",
        "        if: always()\n",
        CONDITION,
    ),
    "a challenger is kept as a release": (
        DELIVER,
        "challenger: true",
        "released: true",
        "test_only_a_release_or_rollback",
    ),
    "a release is kept as a challenger": (
        KEEP,
        "inputs.released == 'true' && 'registry' || 'challenger'",
        "'challenger'",
        "test_only_a_release_or_rollback",
    ),
    "a rollback keeps no registry": (
        "workflows/rollback.yml",
        "      - name: Keep the registry\n        uses: ./.github/actions/keep\n        with:\n          released: true\n",
        "",
        "test_a_rollback_shows",
    ),
    "a rollback is approved unseen": ("workflows/rollback.yml", "    needs: evidence\n", "    needs: []\n", "test_a_rollback_shows"),
    "a rollback goes back further than was approved": (
        "workflows/rollback.yml",
        ' --to "$PREVIOUS"',
        "",
        "test_a_rollback_shows",
    ),
    "any branch retrains": (
        "workflows/retrain.yml",
        "inputs.now && github.ref_name == github.event.repository.default_branch",
        "inputs.now",
        CONDITION,
    ),
    "strangers' sources are trusted": ("workflows/checks.yml", "pushline fetch --untrusted", "pushline fetch", "test_a_pull_requests_data"),
    "strangers' sources are trusted for the difference": (
        "workflows/checks.yml",
        '"$BASE" --untrusted',
        '"$BASE"',
        "test_a_pull_requests_data",
    ),
    "a stranger's code runs with rights": (
        "workflows/checks.yml",
        "  pull_request:\n",
        "  pull_request_target:\n",
        "test_a_workflow_never_runs_with_rights",
    ),
    "a red job does not count": (
        "workflows/checks.yml",
        "[plan, lint, test, data, rehearsal]",
        "[plan, lint, test, rehearsal]",
        "test_checks_waits",
    ),
    "an expired registry stops nothing": (DELIVER, "inputs.registry || 'stop'", "inputs.registry || 'begin'", "test_every_job_that_reads"),
    "main reads a cache of any lock": (SETUP, "key: data-", "restore-keys: data-\n        key: data-", "test_a_cache_is_named"),
}  # fmt: skip
# What no rule of the files can see: that GitHub keeps the queue, asks the reviewers and binds an identity to an environment. GitHub's
# own rules say so; `pushline bootstrap github` and `pushline doctor` look whether they are set.


@pytest.fixture
def copy(repo: Path, tmp_path: Path) -> Path:
    shutil.copytree(repo / ".github", tmp_path / ".github")
    for name in ("Makefile", "scripts/engine.mk"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy2(repo / name, tmp_path / name)
    return tmp_path


def rules_for(place: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the rules, for the files in `place`."""
    monkeypatch.setenv("RULES_FOR", str(place))
    spec = importlib.util.spec_from_file_location("rules_of_a_mutation", RULES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def calls_of(rule: Any) -> Iterator[dict[str, Any]]:
    """The arguments with which pytest would call a rule."""
    marks = [mark for mark in getattr(rule, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        yield {}
    for mark in marks:
        names, values = mark.args
        several = not isinstance(names, str)
        for value in values:
            yield dict(zip(names, value, strict=True)) if several else {names: value}


def broken(rules: ModuleType, start: str) -> bool:
    """Whether the rule whose name begins with `start` says no."""
    (rule,) = (function for name, function in vars(rules).items() if name.startswith(start))
    for arguments in calls_of(rule):
        try:
            rule(**arguments)
        except (AssertionError, KeyError, ValueError, StopIteration):
            return True
    return False


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_rule_says_no_where(what: str, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, before, after, rule = MUTATIONS[what]
    file = copy / ".github" / name
    text = file.read_text(encoding="utf-8")
    assert before in text
    assert not broken(test_rules, rule)
    file.write_text(text.replace(before, after), encoding="utf-8")
    assert broken(rules_for(copy, monkeypatch), rule)
