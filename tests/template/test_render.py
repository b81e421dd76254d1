"""The repository that people own, as the template writes it; and the engine's wheel that it is pinned to."""

import subprocess
import sys
from pathlib import Path

import pytest

from pushline.template.answers import Engine, Record, load_record, read_record, record_bytes
from pushline.template.manifest import ENGINE, OWN, SHARED, TABLE
from pushline.template.render import render
from pushline.template.wheel import Wheel, own_wheel, pack
from working_copy import tracked_files

EXAMPLE = Record(engine=Engine(version="0", sha256=""))
CODE = "../../.engine"  # where a step finds the engine that is a wheel
SOME = Wheel(version="0.1.0", content=b"the wheel")


@pytest.fixture(scope="module")
def wheel() -> Wheel:
    return own_wheel()


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_both_repositories_have_is_the_same_but_for_what_is_for_the_engine_only(repo: Path) -> None:
    files = render(EXAMPLE, SOME)
    for path in {*SHARED, *TABLE} - {*OWN}:
        ours, cut = (repo / path).read_text().splitlines(), files[path].decode().replace(CODE, "../../src").splitlines()
        if "# engine only" in (repo / path).read_text():
            assert set(cut) < set(ours), path
        else:
            assert cut == ours, path
    assert not [path for path, content in files.items() if b"# engine only" in content or b"{name}" in content]


def test_every_file_of_the_engines_repository_is_the_templates_or_the_engines_or_describes_the_table(repo: Path) -> None:
    known = {*SHARED, *OWN, *TABLE}
    assert [path for path in tracked_files(repo) if path not in known and not path.startswith((*ENGINE, "data/", "examples/"))] == []


def test_the_lock_pins_the_engine_by_version_and_hash_where_an_installer_expects_it() -> None:
    lock = render(EXAMPLE, SOME)["requirements/dev.txt"].decode()
    assert f"pushline==0.1.0 \\\n    --hash=sha256:{SOME.sha256}\n" in lock
    names = [line.split("==")[0] for line in lock.splitlines() if line[:1].isalpha()]
    assert names == sorted(names)


def test_a_repository_with_its_engine_from_an_index_holds_no_wheel() -> None:
    files = render(Record(engine=Engine(version="", sha256="", source="index")), SOME)
    assert not [path for path in files if path.startswith("vendor/")]
    assert SOME.sha256 in files["requirements/dev.txt"].decode()


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "template.json").write_bytes(render(EXAMPLE, SOME)["template.json"])
    record = load_record(tmp_path)
    assert record == Record(engine=Engine(version="0.1.0", sha256=SOME.sha256))
    (tmp_path / "template.json").write_bytes(record_bytes(record).replace(b'"answers"', b'"of a newer engine": 1, "answers"'))
    assert read_record(tmp_path / "template.json") == record


@pytest.mark.slow
def test_the_same_commit_gives_the_same_wheel(wheel: Wheel) -> None:
    assert own_wheel().sha256 == wheel.sha256


@pytest.mark.slow
def test_a_wheel_makes_the_same_repository_and_itself_wherever_it_lies(wheel: Wheel, tmp_path: Path) -> None:
    """On the path without being installed; installed, as uvx and pipx do it, where no wheel is kept."""
    file, answers = tmp_path / wheel.name, tmp_path / "template.json"
    file.write_bytes(wheel.content)
    answers.write_bytes(record_bytes(EXAMPLE))
    uv = str(Path(sys.executable).with_name("uv"))
    install = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--target", str(tmp_path / "installed"), str(file)]
    subprocess.run(install, check=True)
    for name, place in (("from the path", file), ("from where it is installed", tmp_path / "installed")):
        command = [sys.executable, "-m", "pushline.template", str(answers), str(tmp_path / name)]
        subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(place), "PATH": ""}, check=True)
        made = files_of(tmp_path / name)
        assert made.pop(f"vendor/{wheel.name}") == wheel.content
        assert made == {path: content for path, content in render(EXAMPLE, wheel).items() if not path.startswith("vendor/")}


def test_a_wheel_lists_every_file_it_holds(wheel: Wheel) -> None:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        names = archive.namelist()
        listed = [line.split(",")[0] for line in archive.read(names[-1]).decode().splitlines()]
        assert listed == names
        assert "pushline/template/files/docs/contract.md" in names  # what `pushline docs` prints
        assert pack({name: archive.read(name) for name in names[:-1]}) == wheel.content
