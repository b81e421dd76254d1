from pathlib import Path

import pytest

from pushline.errors import SettingsError
from pushline.project import Project


def test_a_project_is_found_from_any_folder_in_it(project: Project) -> None:
    deep = project.root / "src" / "pushline"
    assert Project.find(deep).root == project.root


def test_outside_a_project_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Project.find(tmp_path)
    assert "--project" in str(caught.value)


def test_the_revision_says_when_files_differ(project: Project) -> None:
    clean = project.git_revision
    (project.root / "README.md").write_text("changed", encoding="utf-8")
    assert Project(project.root).git_revision == f"{clean}-dirty"
    assert len(clean) == 12


def test_the_revision_is_unknown_outside_git(tmp_path: Path) -> None:
    assert Project(tmp_path).git_revision == "unknown"
