"""`pushline doctor` without an account: each thing it looks at is broken once, through the real command."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import QUICK, Ran
from github.test_bootstrap import FAKE, FRESH
from pushline.data.sources.fetch import TABLES
from pushline.project import Project

Doctor = Callable[..., tuple[Ran, dict[str, list[dict[str, Any]]]]]
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def gh(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A stand-in `gh`, and the variables that put it first."""

    def made(**state: Any) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "gh").write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n', encoding="utf-8")
        (folder / "gh").chmod(0o755)
        (tmp_path / "gh.json").write_text(json.dumps({**FRESH, **state}), encoding="utf-8")
        path = f"{folder}:{os.environ['PATH']}"
        return {"PATH": path, "FAKE_GH": str(tmp_path / "gh.json"), "GITHUB_REPOSITORY": "example/bank"}

    return made


@pytest.fixture(autouse=True)
def data_elsewhere(project: Project) -> None:
    """An adopted table lies in the repository itself; what is tested here is a table that does not."""
    shutil.rmtree(project.root / TABLES, ignore_errors=True)


@pytest.fixture
def doctor(run_pushline: Callable[..., Ran], project: Project) -> Doctor:
    def run(of: Project | None = None, **variables: str) -> tuple[Ran, dict[str, list[dict[str, Any]]]]:
        ran = run_pushline(of or project, "doctor", "--json", env={**QUICK, **OFFLINE, **variables})
        lines: dict[str, list[dict[str, Any]]] = {}
        for line in json.loads(ran.out):
            lines.setdefault(line["name"], []).append(line)
        return ran, lines

    return run


def state(lines: dict[str, list[dict[str, Any]]], name: str) -> str:
    assert len({line["state"] for line in lines[name]}) == 1
    return str(lines[name][0]["state"])


def test_a_fresh_checkout_lacks_nothing_for_the_local_target(run_pushline: Callable[..., Ran], project: Project) -> None:
    ran = run_pushline(project, "doctor", env={**QUICK, **OFFLINE, "PUSHLINE_DATA": ""})
    assert ran.code == 0, ran.err
    assert re.search(r"✓  contract +\d+ columns", ran.out)
    assert "no account is needed: the target is local" in ran.out
    assert "`make run` goes on with generated rows" in ran.out


@pytest.mark.slow
def test_a_delivered_project_has_a_registry_and_a_release_that_answers(doctor: Doctor, delivered: Project) -> None:
    ran, lines = doctor(delivered)
    assert ran.code == 0, ran.err
    assert "champion 1" in lines["registry"][0]["says"]
    assert "answers at http://127.0.0.1:" in lines["live release"][0]["says"]


def test_a_package_of_another_version_than_the_lock_is_named(doctor: Doctor, project: Project) -> None:
    lock = project.root / "requirements" / "steps.txt"
    lock.write_text(re.sub(r"^click==\S+", "click==1.0", lock.read_text(), flags=re.MULTILINE) + "\nno-such-package==1.0\n")
    ran, lines = doctor()
    assert ran.code == 1
    assert "no-such-package is not installed; click is" in lines["packages"][0]["says"]
    assert lines["packages"][0]["do"] == "Run `make setup`."


def test_a_port_that_another_program_has_is_named(doctor: Doctor) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran, lines = doctor(PUSHLINE_SERVING__PORT=str(other.getsockname()[1]))
    assert ran.code == 1
    assert state(lines, "port") == "missing"


def test_a_system_library_that_is_missing_is_named_with_its_package(doctor: Doctor, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    ran, lines = doctor(PATH=str(bare))
    assert ran.code == 1
    assert lines["git"][0]["do"] == "Run: sudo apt-get install -y git"


def test_a_contract_that_is_wrong_is_told_in_its_own_words(doctor: Doctor, project: Project) -> None:
    project.contract.write_text(project.contract.read_text().replace("role: label", "role: lable"))
    ran, lines = doctor()
    assert ran.code == 1
    assert "lable" in lines["contract"][0]["says"]


def test_a_lock_of_another_table_is_noticed(doctor: Doctor, project: Project) -> None:
    project.data_lock.write_text(re.sub(r'(columns = \[\s*)"[^"]+"', r'\1"shoe_size"', project.data_lock.read_text()))
    ran, lines = doctor()
    assert ran.code == 1
    assert "shoe_size" in lines["data.lock"][0]["says"]


def test_a_profile_of_an_older_data_version_is_a_note(doctor: Doctor, project: Project) -> None:
    text = project.profile.read_text()
    project.profile.write_text(re.sub(r'"data_version": "\w+"', '"data_version": "0123456789abcdef"', text))
    ran, lines = doctor()
    assert ran.code == 0
    assert state(lines, "profile") == "note"
    project.profile.unlink()
    ran, lines = doctor()
    assert ran.code == 1
    assert "pushline profile" in lines["profile"][0]["do"]


def test_data_that_can_not_be_had_stops_a_job_but_not_a_laptop(doctor: Doctor) -> None:
    ran, lines = doctor(PUSHLINE_DATA="")
    assert (ran.code, state(lines, "data")) == (0, "note")
    ran, lines = doctor(PUSHLINE_DATA="", GITHUB_ACTIONS="true")
    assert (ran.code, state(lines, "data")) == (1, "missing")
    assert state(lines, "GitHub settings") == "not needed"


def test_the_pinned_file_is_found_where_it_is(doctor: Doctor, real_data: Path) -> None:
    _, lines = doctor(PUSHLINE_DATA=str(real_data))
    assert lines["data"][0]["says"].endswith("is here (PUSHLINE_DATA)")


def test_github_settings_that_are_not_made_yet_are_listed(doctor: Doctor, gh: Callable[..., dict[str, str]]) -> None:
    ran, lines = doctor(**gh())
    assert ran.code == 0, "the local target needs none of them"
    assert lines["gh"][0]["says"] == "logged in as ann"
    assert any("takes only reviewed pull requests" in line["says"] for line in lines["GitHub settings"])
    assert state(lines, "approval") == "note"


def test_github_settings_as_they_should_be_work(
    doctor: Doctor, gh: Callable[..., dict[str, str]], run_pushline: Callable[..., Ran], project: Project
) -> None:
    env = gh()
    assert run_pushline(project, "bootstrap", "github", "--reviewer", "ann", "--apply", env=env).code == 0
    subprocess.run(["git", "remote", "add", "origin", "https://me:secret@github.test/example/bank"], cwd=project.root, check=True)
    ran, lines = doctor(**env)
    assert ran.code == 0
    assert lines["GitHub settings"][0]["says"] == "example/bank is as it should be"
    assert lines["git remote"][0]["says"] == "https://github.test/example/bank"
    assert "secret" not in ran.out


@pytest.mark.slow
def test_the_aci_target_without_packages_or_sign_in_says_so(doctor: Doctor) -> None:
    ran, lines = doctor(PUSHLINE_TARGET="aci")
    assert ran.code == 1
    assert state(lines, "Azure sign-in") == "missing"
    assert state(lines, "gh") == "missing" or shutil.which("gh")


def test_what_is_lacking_is_counted_in_words_that_fit(doctor: Doctor) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran, _ = doctor(PUSHLINE_SERVING__PORT=str(other.getsockname()[1]))
    assert "lacks 1 thing: port" in ran.err


@pytest.mark.slow
def test_a_taken_port_is_no_lack_where_the_release_answers_on_another(doctor: Doctor, delivered: Project) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran, lines = doctor(delivered, PUSHLINE_SERVING__PORT=str(other.getsockname()[1]))
    assert state(lines, "port") == "works"
    assert "our live release answers at http://127.0.0.1:" in lines["port"][0]["says"]
    assert "port" not in ran.err
