"""The notebook runs from its first cell to its last, in a project of its own, with the smallest budget."""

import warnings
from pathlib import Path

import pytest

from pushline.project import Project
from small_table import draw, pin

NOTEBOOK = Path("notebooks") / "explore.ipynb"


def test_the_notebook_is_kept_without_outputs(repo: Path) -> None:
    import nbformat

    cells = nbformat.read(repo / NOTEBOOK, as_version=4).cells
    assert not [cell for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_cell_runs_and_the_model_answers(repo: Path, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PUSHLINE_TRAINING__LOCAL_BUDGET", "1s")
    pin(project, draw(repo, tmp_path / "calls.csv", seed=5))
    monkeypatch.setenv("PUSHLINE_DATA", str(tmp_path))
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(project.root / NOTEBOOK, as_version=4)
    with warnings.catch_warnings(action="ignore"):  # the client's own
        done = NotebookClient(notebook, timeout=400, kernel_name="python3").execute(cwd=str(project.root / "notebooks"))
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    said = "\n".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "rows no search has seen" in said
    assert "share of 200 generated rows" in said
    assert "row 0, column " in said  # the refusal of the last cell
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3, "the search, the curves and what the model leans on"
