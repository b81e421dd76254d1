"""Every command explains itself, is documented, and does so at once."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from command import Ran
from pushline.cli import main, pushline
from pushline.cli.sections import SECTIONS
from pushline.delivery import STAGES
from pushline.errors import DataError
from pushline.project import Project
from pushline.results import KINDS


def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for own, child in command.commands.items():
            yield from walk(f"{name} {own}", child)


ALL = dict(walk("pushline", pushline))


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_option_has_help(name: str) -> None:
    command = ALL[name]
    assert command.help, name
    unexplained = [parameter.name for parameter in command.params if isinstance(parameter, click.Option) and not parameter.help]
    assert unexplained == []


@pytest.mark.parametrize("name", [name for name in ALL if name != "pushline"])
def test_every_command_is_documented(repo: Path, name: str) -> None:
    assert f"\n### {name}\n" in (repo / "docs" / "cli.md").read_text()


def test_a_stage_has_one_name_everywhere() -> None:
    assert list(KINDS) == list(STAGES)
    assert set(STAGES) <= set(pushline.commands)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_prints_json_on_request(stage: str) -> None:
    assert "--json" in {option for parameter in pushline.commands[stage].params for option in parameter.opts}


def test_help_answers_at_once() -> None:
    def spent() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "pushline", "--help"], check=True, capture_output=True, env={**os.environ})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(spent() for _ in range(5)) < 0.3


def test_the_readme_shows_the_flow_as_it_is(repo: Path) -> None:
    page = (repo / "README.md").read_text()
    picture = page.split("```mermaid")[1].split("```")[0]
    places = [picture.index(f"{name} -->") if name != "promote" else picture.index("--> promote") for name in STAGES]
    assert places == sorted(places)


def test_the_readme_fits_two_screens(repo: Path) -> None:
    assert len((repo / "README.md").read_text().splitlines()) < 100


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_terminal_of_another_alphabet_gets_no_traceback(project: Project, run_pushline: Callable[..., Ran], encoding: str) -> None:
    nowhere = {"PUSHLINE_DATA": "", "HTTPS_PROXY": "http://127.0.0.1:9"}
    ended = run_pushline(project, "run", env={**nowhere, "PYTHONIOENCODING": encoding})
    assert ended.code != 0
    assert "Traceback" not in ended.err
    assert "not run" in ended.out


def test_a_failure_can_not_move_the_cursor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        raise DataError("bad \x1b[2J value", why="why\x07", do="do\nthis")

    monkeypatch.setattr(pushline, "main", fail)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 3
    assert capsys.readouterr().err == "error: bad \\x1b[2J value\nwhy\\x07\ndo\nthis\n"


def test_the_help_names_each_command_under_one_heading_and_fits_a_terminal_of_80_columns() -> None:
    named = " ".join(SECTIONS.values()).split()
    assert sorted(named) == sorted(name for name, command in pushline.commands.items() if not command.hidden)
    for group, name in ((pushline, "pushline"), *((one, own) for own, one in pushline.commands.items() if isinstance(one, click.Group))):
        with click.Context(group, info_name=name, terminal_width=80) as context:
            lines = group.get_help(context).splitlines()
        assert max(map(len, lines)) <= 80
        assert not [line for line in lines if line.endswith("...") and "[ARGS]" not in line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete_and_gets_the_commands(shell: str) -> None:
    run = [sys.executable, "-m", "pushline"]
    script = subprocess.run([*run, "completion", shell], capture_output=True, text=True, check=True).stdout
    assert f"_PUSHLINE_COMPLETE={shell}_complete" in script
    asked = {"_PUSHLINE_COMPLETE": f"{shell}_complete", "COMP_WORDS": "pushline roll", "COMP_CWORD": "roll" if shell == "fish" else "1"}
    assert "rollback" in subprocess.run(run, capture_output=True, text=True, check=True, env={**os.environ, **asked}).stdout
