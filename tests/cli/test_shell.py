"""What a person reads in the terminal."""

from pathlib import Path

from command import run_cli
from pushline.project import Project


def test_a_page_of_the_documentation_is_read_in_the_terminal(repo: Path) -> None:
    listed = run_cli(Project(repo), "docs")
    assert "contract " in listed.out
    assert run_cli(Project(repo), "docs", "contract").out.strip() == (repo / "docs" / "contract.md").read_text(encoding="utf-8").strip()
    unknown = run_cli(Project(repo), "docs", "nowhere")
    assert (unknown.code, "contract" in unknown.err) == (2, True)
