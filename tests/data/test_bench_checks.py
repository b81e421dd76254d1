import subprocess
import sys
from pathlib import Path

import pytest

from command import clean_environment
from pushline.project import Project


@pytest.mark.slow
def test_the_bench_of_the_checks_measures_each_contender(project: Project, tmp_path: Path) -> None:
    command = [sys.executable, "scripts/bench_checks.py", "--rows", "3000", "--print", "--scratch", str(tmp_path / "scratch")]
    ran = subprocess.run(command, cwd=project.root, env=clean_environment(), capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("3,000 rows")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "pushline check-data, without the duplicate check",
        "pushline check-data",
        "Great Expectations on pandas",
        "one DuckDB query by hand",
    ]
    assert not list((tmp_path / "scratch").iterdir())
