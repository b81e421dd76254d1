"""Every shell block of README and docs/ runs, and every command that a sentence names exists with its options."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from command import QUICK, clean_environment, path_with_commands, put_venv
from docs.pages import blocks, pages, prose
from pushline.cli import pushline
from pushline.project import Project
from small_table import draw, pin

# Pages whose blocks another test runs, because they need more than a delivered project.
ELSEWHERE = {
    "docs/releases.md": "tests/release/test_docs.py",
    "docs/serving.md": "tests/release/test_serving_docs.py",
    "docs/adopt.md": "tests/adopt",
}
# In this order: later pages go on with what earlier ones have delivered.
HERE = ("README.md", "docs/cli.md", "docs/index.md", "docs/contract.md", "docs/training.md", "docs/settings.md", "docs/pipelines.md")
BEFORE = {"docs/settings.md": "pushline deploy --version 1\n"}  # a load test needs a candidate
AFTER = {"docs/settings.md": "\npushline discard"}
LANGUAGES = {"", "sh", "console", "text", "python", "js", "toml", "yaml", "json", "mermaid"}
# Small budgets, no network, and a second model that is taken though it is no better.
SMALL = {
    **QUICK,
    "PUSHLINE_TRAINING__LOCAL_BUDGET": "1s",
    "PUSHLINE_PROMOTION__MINIMUM_GAIN": "-0.5",
    "PUSHLINE_PROMOTION__SKILL": "0.001",
    "PUSHLINE_PROMOTION__ROUNDS": "50",
    "PUSHLINE_LOAD__RATE": "20",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}


def runnable(text: str) -> str:
    """The block as it is, but for budgets, which are made small, `make test`, which is what runs this, and the one command
    that `make run` has run in the block before."""
    text = re.sub(r"--budget \S+", "--budget 1s", text)
    text = re.sub(r"^pushline run --sample-if-offline\b.*$", ":", text, flags=re.MULTILINE)
    return re.sub(r"^make test\b.*$", ":", text, flags=re.MULTILINE)


def bare(text: str) -> str:
    """The first command of a block, or more where no comment stands behind it: what another page shows again is not run again."""
    return text.split("#")[0].strip()


def test_every_page_with_shell_blocks_is_run_by_a_test(repo: Path) -> None:
    with_blocks = {block.page for page in pages(repo) for block in blocks(repo, page) if block.language == "sh"}
    assert with_blocks == set(HERE) | set(ELSEWHERE)
    for page, test in ELSEWHERE.items():
        place = repo / test
        files = [place] if place.is_file() else sorted(place.rglob("test_*.py"))
        assert any(Path(page).name in file.read_text(encoding="utf-8") for file in files), f"{test} does not run {page}"


def test_a_block_that_is_not_run_says_why(repo: Path) -> None:
    for page in pages(repo):
        for block in blocks(repo, page):
            assert block.language in LANGUAGES, f"{block.page}: {block.language}"
            if block.language == "console":
                assert "test" in block.after, f"{block.page}: the paragraph behind a console block says what tests it instead"


def test_the_front_page_leads_through_ten_tasks_of_at_most_two_commands(repo: Path) -> None:
    (block,) = (one for one in blocks(repo, repo / "docs" / "index.md") if "pushline sample" in one.text)
    tasks = block.text.splitlines()
    assert len(tasks) == 10
    assert all(task.split("#")[0].count("pushline ") <= 2 and task.partition("#")[2] for task in tasks)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_shell_block_works_in_a_project_of_its_own(repo: Path, project: Project, tmp_path: Path) -> None:
    put_venv(project.root)
    pin(project, draw(repo, tmp_path / "calls.csv", seed=5))  # nowhere to be had: `make run` goes on with as many generated rows
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--all", "--message", "pin"], cwd=project.root, check=True)
    environment = clean_environment(SMALL)
    environment["PATH"] = path_with_commands()
    done: set[str] = set()
    try:
        for name in HERE:
            texts = [block.text for block in blocks(repo, repo / name) if block.language == "sh" and bare(block.text) not in done]
            done |= set(map(bare, texts))
            script = BEFORE.get(name, "") + "\n".join(map(runnable, texts)) + AFTER.get(name, "")
            command = ["bash", "-euxo", "pipefail", "-c", script]
            ran = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=400, check=False)
            assert ran.returncode == 0, f"{name}\n{ran.stdout}\n{ran.stderr}"
    finally:
        subprocess.run([sys.executable, "-m", "pushline", "stop"], cwd=project.root, env=environment, capture_output=True, check=False)


def commands_named(text: str) -> list[str]:
    return [found.strip() for found in re.findall(r"`((?:pushline|make) [^`]+)`", text)]


def test_every_command_that_a_page_names_exists(repo: Path) -> None:
    targets = set(
        re.findall(
            r"^([a-z-]+):", "".join((repo / name).read_text(encoding="utf-8") for name in ("Makefile", "scripts/engine.mk")), re.MULTILINE
        )
    )
    named = [(page, command) for page in pages(repo) for command in commands_named(prose(page))]
    named += [
        (page, line.strip())
        for page in pages(repo)
        for block in blocks(repo, page)
        if block.language == "console"
        for line in block.text.splitlines()
    ]
    assert len(named) > 100
    for page, command in named:
        where = f"{page.relative_to(repo)}: {command}"
        words = shlex.split(command.replace("...", ""), comments=True)
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, where
        else:
            known(words[1:], where)


def known(words: list[str], where: str) -> None:
    here: click.Command = pushline
    options = {option for parameter in pushline.params for option in parameter.opts}
    for position, word in enumerate(words):
        if word.startswith("-"):
            assert word.split("=")[0] in options | {"-h", "--help"}, f"{where}: no option {word}"
        elif isinstance(here, click.Group):
            if word in here.commands:
                here = here.commands[word]
                options |= {option for parameter in here.params for option in parameter.opts}
            else:
                before = words[position - 1] if position else ""
                assert before.startswith("-") or word.isupper(), f"{where}: no command {word}"
