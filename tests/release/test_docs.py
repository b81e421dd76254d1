import re
import subprocess
from pathlib import Path

import pytest

from command import clean_environment, path_with_commands
from pushline.project import Project
from pushline.release.local import LocalTarget

from .registered import register_versions
from .test_stages import QUICK

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_command_of_the_page_about_releases_works_in_its_order(
    repo: Path, project: Project, local: LocalTarget, tmp_path: Path
) -> None:
    register_versions(project, tmp_path / "models", versions=("1", "2"))
    script = "\n".join(BLOCK.findall((repo / "docs" / "releases.md").read_text(encoding="utf-8")))
    assert script.count("pushline") > 10
    environment = clean_environment({**QUICK, "PUSHLINE_SERVING__PORT": str(local.settings.port)})
    environment["PATH"] = path_with_commands()
    command = ["bash", "-euxo", "pipefail", "-c", script]
    ran = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=550, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
