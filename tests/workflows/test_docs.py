import re
import subprocess
import sys
from pathlib import Path


def test_the_table_of_workflows_is_the_one_the_files_give(repo: Path) -> None:
    made = subprocess.run([sys.executable, "scripts/workflow_table.py"], cwd=repo, capture_output=True, text=True, check=True).stdout
    page = (repo / "docs" / "workflows.md").read_text(encoding="utf-8")
    held = re.search(r"<!-- generated: workflows -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert held is not None
    assert held.group(1) == made
