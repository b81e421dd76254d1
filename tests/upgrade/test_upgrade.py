"""`pushline upgrade`, run as its owner would in a repository that a small engine made."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran
from upgrade.engines import CONTRACT, FILES, PYPROJECT, Owned, engine, gh_in, owned, rendered
from working_copy import git

pytestmark = pytest.mark.slow

CHANGELOG = """\
# Changelog

## 0.3.0 (2026-12-01)

- Keys rotate by themselves.

### By hand

Give the service a second key.

## 0.2.0

- The report loads faster.

## 0.1.0

- The first.
"""


@pytest.fixture
def mine(tmp_path: Path) -> Owned:
    return owned(engine(tmp_path / "engines", "0.1.0"), tmp_path / "my parcels")


@pytest.fixture
def upgrade(run_pushline: Callable[..., Ran], mine: Owned) -> Callable[..., Ran]:
    def run(*arguments: str | Path, code: int = 0, env: dict[str, str] | None = None) -> Ran:
        ran = run_pushline(mine.project, "upgrade", *map(str, arguments), env=env)
        assert ran.code == code, ran.out + ran.err
        assert "Traceback" not in ran.err
        return ran

    return run


def newer(tmp_path: Path, changes: dict[str, str | None], version: str = "0.2.0") -> Path:
    return engine(tmp_path / "engines", version, changes, CHANGELOG)


def test_where_nothing_was_changed_the_new_version_is_all_there_is(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    changes: dict[str, str | None] = {
        "Makefile": "run:\n\tpushline run --sample\n",
        "README.md": None,
        "docs/new.md": "New.\n",
        "notebooks/picture.png": "\x89PNG\r\n\x00\x02\xff",
        "load/steps.py": FILES["load/profile.py"],
        "load/profile.py": None,
        "data_checks/contract.yml": CONTRACT.replace("Parcels", "Letters").replace("900", "800"),
    }
    wheel = newer(tmp_path, changes)
    ran = upgrade("--to", wheel)
    fresh = rendered(wheel, tmp_path / "fresh")
    assert mine.tree() == {file.relative_to(fresh).as_posix(): file.read_bytes() for file in fresh.rglob("*") if file.is_file()}
    assert "0.1.0 → 0.2.0" in ran.out
    assert "The report loads faster." in ran.out
    assert "Keys rotate" not in ran.out
    assert not (mine.project.root / "vendor" / "pushline-0.1.0-py3-none-any.whl").exists()


def test_what_the_owner_wrote_stays_and_what_the_version_brings_comes(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    mine.replace("README.md", "The end.", "Ask Ann.")
    mine.replace("Makefile", "\tpytest\n", "\tpytest -x\n")
    mine.write("notes.md", "Mine.\n")
    mine.replace("load/profile.py", "STEP_19 = 19", "STEP_19 = 90")
    upgrade(
        "--to",
        newer(
            tmp_path,
            {
                "README.md": FILES["README.md"].replace("From a table", "All the way from a table"),
                "Makefile": FILES["Makefile"].replace("pushline run", "pushline run --sample"),
                "load/steps.py": FILES["load/profile.py"].replace("STEP_0 = 0", "STEP_0 = 1"),
                "load/profile.py": None,
            },
        ),
    )
    assert "All the way from a table" in mine.read("README.md")
    assert "Ask Ann." in mine.read("README.md")
    assert mine.read("Makefile") == "run:\n\tpushline run --sample\n\ntest:\n\tpytest -x\n"
    assert mine.read("notes.md") == "Mine.\n"
    assert "STEP_0 = 1\n" in mine.read("load/steps.py")
    assert "STEP_19 = 90" in mine.read("load/steps.py")
    assert not (mine.project.root / "load" / "profile.py").exists()


def test_what_the_owner_deleted_stays_deleted(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    for path in ("load/profile.py", "notebooks/picture.png", "README.md"):
        (mine.project.root / path).unlink()
    mine.commit()
    changes: dict[str, str | None] = {
        "load/steps.py": FILES["load/profile.py"].replace("STEP_0 = 0", "STEP_0 = 1"),
        "load/profile.py": None,
        "notebooks/picture.png": "other",
    }
    ran = upgrade("--to", newer(tmp_path, changes))
    gone = ("load/profile.py", "load/steps.py", "notebooks/picture.png", "README.md")
    assert [path for path in gone if (mine.project.root / path).exists()] == []
    assert "notebooks/picture.png stays deleted" in ran.out


def test_a_conflict_is_left_as_git_leaves_one_and_everything_else_is_done(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    mine.replace("README.md", "From a table to a service.", "From parcels to a service.")
    mine.write("notebooks/picture.png", "mine")
    changes = {"README.md": FILES["README.md"].replace("From a table", "From any table"), "Makefile": "all:\n"}
    wheel = newer(tmp_path, {**changes, "notebooks/picture.png": "\x89PNG\x00theirs"})
    ran = upgrade("--to", wheel, code=1)
    assert "README.md" in ran.err
    assert "<<<<<<< yours\nFrom parcels to a service.\n=======\nFrom any table to a service.\n>>>>>>> pushline-0.2.0\n" in mine.read(
        "README.md"
    )
    assert mine.read("notebooks/picture.png") == "mine"
    assert mine.read("Makefile") == "all:\n"
    assert "UU README.md" in mine.status()
    again = upgrade("--to", wheel, code=1)
    assert "README.md" in again.err
    mine.write("README.md", "Both.\n")
    assert mine.status() == ""
    upgrade("--to", wheel)


def test_values_whose_lines_collide_are_merged_by_value(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    mine.replace("data_checks/contract.yml", "    maximum: 30\n", "    maximum: 70  # the lorry's\n")
    mine.replace("pyproject.toml", "rate = 50      # requests/s\n", "rate = 80      # at Christmas\n")
    mine.replace("pyproject.toml", "line-length = 140", "line-length = 100")
    mine.write(".gitignore", f"{FILES['.gitignore']}!/build/kept\n")
    changes: dict[str, str | None] = {
        ".gitignore": f"{FILES['.gitignore']}/site/\n",
        "data_checks/contract.yml": CONTRACT.replace("    minimum: 0\n", "    minimum: 0.1\n"),
        "pyproject.toml": PYPROJECT.replace("seconds = 10\n", "seconds = 20\nramp = 5\n"),
    }
    upgrade("--to", newer(tmp_path, changes))
    assert "minimum: 0.1\n    maximum: 70  # the lorry's" in mine.read("data_checks/contract.yml")
    settings = mine.read("pyproject.toml")
    assert "rate = 80      # at Christmas\nseconds = 20\nramp = 5\n" in settings
    assert "line-length = 100" in settings
    assert mine.read(".gitignore") == "/build/\n/.pushline/\n/site/\n!/build/kept\n"


def test_locks_are_the_new_ones_and_keep_what_the_owner_added(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    mine.replace("requirements/dev.txt", "zope==1.0", "shap==0.49 \\\n    --hash=sha256:cc\nzope==1.5")
    mine.replace("pyproject.toml", '==0.1.0"]', '==0.1.0", "shap"]')
    lock = FILES["requirements/dev.txt"].replace("click==8.2.0", "click==8.3.0")
    ran = upgrade("--to", newer(tmp_path, {"requirements/dev.txt": lock}))
    text = mine.read("requirements/dev.txt")
    recorded = json.loads(mine.read("template.json"))["engine"]
    assert recorded["version"] == "0.2.0"
    assert f"pushline==0.2.0 \\\n    --hash=sha256:{recorded['sha256']}\n" in text
    assert "shap==0.49 \\\n    --hash=sha256:cc\n" in text
    assert "click==8.3.0" in text
    assert "zope==1.0" in text
    assert "shap in requirements/dev.txt" in ran.out
    assert 'dependencies = ["pushline[train]==0.2.0", "shap"]' in mine.read("pyproject.toml")


def test_several_versions_are_one_step_and_say_what_a_person_must_do(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    mine.replace("README.md", "The end.", "Ask Ann.")
    ran = upgrade("--to", newer(tmp_path, {"README.md": FILES["README.md"].replace("a table", "tables")}, "0.3.0"))
    assert "The report loads faster." in ran.out
    assert "By hand, for 0.3.0\nGive the service a second key." in ran.out
    assert "The first." not in ran.out
    assert "From tables to a service" in mine.read("README.md")
    assert "Ask Ann." in mine.read("README.md")


def test_check_says_what_would_change_and_changes_nothing(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    before, wheel = mine.tree(), newer(tmp_path, {"Makefile": "all:\n"})
    ran = upgrade("--to", wheel, "--check", code=1)
    assert "Makefile" in ran.out
    assert mine.tree() == before
    assert mine.status() == ""
    upgrade("--to", wheel)
    mine.commit()
    assert "nothing to upgrade" in upgrade("--to", wheel, "--check").out


def test_it_refuses_a_dirty_tree_an_older_version_and_a_file_that_git_does_not_hold(
    mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path
) -> None:
    wheel = newer(tmp_path, {"build.py": "new\n", "Makefile": "all:\n"})
    (mine.project.root / "Makefile").write_text("half\n", encoding="utf-8")
    (mine.project.root / "untracked").touch()
    ran = upgrade("--to", wheel, code=2)
    assert "Makefile" in ran.err
    assert "untracked" in ran.err
    git("checkout", "--", "Makefile", cwd=mine.project.root)
    (mine.project.root / "untracked").unlink()
    (mine.project.root / ".git" / "info" / "exclude").write_text("build.py\n", encoding="utf-8")
    mine.project.root.joinpath("build.py").write_text("mine\n", encoding="utf-8")
    assert "build.py" in upgrade("--to", wheel, code=2).err
    assert mine.read("build.py") == "mine\n"
    (mine.project.root / "build.py").unlink()
    (mine.project.root / ".git" / "info" / "exclude").unlink()
    upgrade("--to", wheel)
    mine.commit()
    first = tmp_path / "engines" / "pushline-0.1.0-py3-none-any.whl"
    assert "--allow-downgrade" in upgrade("--to", first, code=2).err
    upgrade("--to", first, "--allow-downgrade")
    fresh = rendered(first, tmp_path / "fresh")
    assert mine.tree() == {file.relative_to(fresh).as_posix(): file.read_bytes() for file in fresh.rglob("*") if file.is_file()}


def test_it_refuses_what_is_no_engine_and_a_vendored_wheel_of_other_bytes(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    assert "is not there" in upgrade("--to", tmp_path / "none.whl", code=2).err
    (tmp_path / "pushline-0.9.0-py3-none-any.whl").write_bytes(b"no zip")
    assert "no engine" in upgrade("--to", tmp_path / "pushline-0.9.0-py3-none-any.whl", code=2).err
    assert "does not know where newer versions can be had" in upgrade(code=2).err
    vendored = mine.project.root / "vendor" / "pushline-0.1.0-py3-none-any.whl"
    vendored.write_bytes(vendored.read_bytes() + b"more")
    mine.commit()
    assert "is not the wheel that template.json records" in upgrade("--to", newer(tmp_path, {}), code=2).err


def test_outside_a_thin_repository_or_without_git_it_says_so(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    (mine.project.root / ".git").rename(tmp_path / "git")
    assert "needs a git repository" in upgrade("--to", newer(tmp_path, {}), code=4).err
    (mine.project.root / "src" / "pushline").mkdir(parents=True)
    assert "is no thin repository" in upgrade(code=2).err


def test_a_template_that_fails_is_one_clear_error(mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path) -> None:
    before = mine.tree()
    ran = upgrade("--to", newer(tmp_path, {"Makefile/x": "a file below a file\n"}), code=4)
    assert "can't be rendered" in ran.err
    assert mine.tree() == before


def test_a_repository_below_a_folder_of_another_is_upgraded_alone(run_pushline: Callable[..., Ran], tmp_path: Path) -> None:
    from pushline.project import Project

    first = engine(tmp_path / "engines", "0.1.0")
    rendered(first, tmp_path / "all" / "parcels")
    whole = Owned(Project(tmp_path / "all"))
    git("init", "-q", cwd=tmp_path / "all")
    whole.write("parcels/README.md", whole.read("parcels/README.md").replace("From a table", "Mine: from a table"))
    second = newer(tmp_path, {"README.md": FILES["README.md"].replace("From a table", "From any"), "Makefile": "all:\n"})
    ran = run_pushline(Project(tmp_path / "all" / "parcels"), "upgrade", "--to", str(second))
    assert ran.code == 1, ran.err
    assert whole.read("parcels/Makefile") == "all:\n"
    assert "UU parcels/README.md" in whole.status()


def test_the_newest_release_of_the_engines_repository_is_taken_where_the_record_names_it(
    run_pushline: Callable[..., Ran], tmp_path: Path
) -> None:
    first = engine(tmp_path / "engines", "0.1.0")
    mine = owned(first, tmp_path / "parcels", repository="example/pushline")
    env = gh_in(tmp_path / "gh", newer(tmp_path, {"Makefile": "all:\n"})) | {"GH_TOKEN": "secret"}
    assert run_pushline(mine.project, "upgrade", "--to", "0.9.0", env=env).code == 4
    ran = run_pushline(mine.project, "upgrade", env=env)
    assert ran.code == 0, ran.err
    assert mine.read("Makefile") == "all:\n"
    mine.commit()
    assert "nothing to upgrade" in run_pushline(mine.project, "upgrade", env=env).out
    two = gh_in(tmp_path / "two", first, newer(tmp_path, {}, "0.4.0"))
    assert "holds 2 wheels" in run_pushline(mine.project, "upgrade", env=two).err


def test_an_index_has_the_engines_of_a_repository_that_holds_none(run_pushline: Callable[..., Ran], tmp_path: Path) -> None:
    """pip's own way to a folder of wheels stands for the index."""
    mine = owned(engine(tmp_path / "engines", "0.1.0"), tmp_path / "parcels", source="index")
    newer(tmp_path, {"Makefile": "all:\n"}, "0.2.0")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "engines")}
    ran = run_pushline(mine.project, "upgrade", env=env)
    assert ran.code == 0, ran.err
    assert mine.read("Makefile") == "all:\n"
    assert not (mine.project.root / "vendor").exists()
    mine.commit()
    gone = run_pushline(mine.project, "upgrade", "--to", "7.0", env=env)
    assert gone.code == 4
    assert "pushline==7.0 can't be had" in gone.err


def test_a_schedule_is_no_failure_where_nothing_says_which_versions_there_are(
    mine: Owned, upgrade: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = upgrade("--if-any", env={"GITHUB_OUTPUT": str(tmp_path / "output")})
    assert "does not know where newer versions can be had" in ran.out
    assert (tmp_path / "output").read_text(encoding="utf-8") == "changed=false\n"
    (mine.project.root / "src" / "pushline").mkdir(parents=True)
    upgrade("--if-any")


@pytest.fixture
def origin(mine: Owned, tmp_path: Path) -> Path:
    place = tmp_path / "origin.git"
    git("init", "-q", "--bare", str(place), cwd=tmp_path)
    git("remote", "add", "origin", str(place), cwd=mine.project.root)
    return place


def test_a_pull_request_says_what_changed_in_the_users_words_and_is_left_alone_once_it_is_open(
    mine: Owned, upgrade: Callable[..., Ran], origin: Path, tmp_path: Path
) -> None:
    env = gh_in(tmp_path / "gh")
    assert "nothing to propose" in upgrade("--propose", code=2, env=env).err
    upgrade("--to", newer(tmp_path, {"Makefile": "all:\n", "load/profile.py": None, "docs/new.md": "New.\n"}, "0.3.0"))
    assert "opened" in upgrade("--propose", env=env).out
    (pull,) = json.loads(Path(env["FAKE_GH"]).read_text(encoding="utf-8"))["pulls"]
    assert pull["title"] == "Pushline 0.1.0 → 0.3.0"
    assert "Give the service a second key." in pull["body"]
    assert "The report loads faster." in pull["body"]
    git("fetch", "-q", "origin", "pushline/0.3.0", cwd=mine.project.root)
    mine.commit()
    git("diff", "--exit-code", "FETCH_HEAD", "HEAD", cwd=mine.project.root)
    git("update-ref", "-d", "refs/heads/pushline/0.3.0", cwd=origin)
    assert "is open already" in upgrade("--propose", env=env).out
    with pytest.raises(subprocess.CalledProcessError):  # it was not pushed over what people made of it
        git("rev-parse", "--verify", "pushline/0.3.0", cwd=origin)


def test_a_token_that_may_write_no_workflow_is_told_and_how_to_allow_it(
    mine: Owned, upgrade: Callable[..., Ran], origin: Path, tmp_path: Path
) -> None:
    says = "refusing to allow a GitHub App to create or update workflow `.github/workflows/deliver.yml` without `workflows` permission"
    hook = origin / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho '{says}'\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    upgrade("--to", newer(tmp_path, {".github/workflows/deliver.yml": "name: deliver\n"}))
    ran = upgrade("--propose", code=4, env=gh_in(tmp_path / "gh"))
    assert "may write no workflow file" in ran.err
    assert ".github/workflows/deliver.yml" in ran.err
    assert "fine-grained token" in ran.err
