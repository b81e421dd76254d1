"""Commands that fork from a warm process are what a user's are."""

import subprocess

import pytest

from command import clean_environment, cold, run_cli
from pushline.project import Project


@pytest.mark.parametrize(
    "arguments", [("status", "--json"), ("doctor",), ("check-data", "nowhere.csv"), ("promote",), ("no-such-command",)]
)
def test_it_answers_and_ends_as_one_from_the_start_of_an_interpreter(project: Project, arguments: tuple[str, ...]) -> None:
    env = {"PUSHLINE_DATA": "", "HTTPS_PROXY": "http://127.0.0.1:9", "PUSHLINE_LOAD__RATE": "33"}
    assert run_cli(project, *arguments, env=env) == cold(project, arguments, clean_environment(env), 100, None)


def test_it_has_the_variables_of_its_own_call_alone(project: Project) -> None:
    assert "'brown'" in run_cli(project, "status", env={"PUSHLINE_TARGET": "brown"}).err
    assert run_cli(project, "status").code == 0


def test_one_that_takes_too_long_is_killed_and_the_next_one_runs(project: Project) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_cli(project, "pipelines", "serve", "--port", "0", timeout=2)
    assert run_cli(project, "status").code == 0
