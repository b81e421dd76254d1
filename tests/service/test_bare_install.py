"""The service needs the bare install and no training library."""

import json
import subprocess
from pathlib import Path

import pytest

from pushline.serving.model_folder import GoldenRow
from service_made import get, service_of

pytestmark = pytest.mark.slow

TRAINING = ("sklearn", "pandas", "mlflow", "lightgbm", "onnx", "flaml", "great_expectations", "duckdb", "matplotlib")


def test_the_bare_install_holds_no_training_library(bare_python: Path) -> None:
    code = f"import importlib.util as u; print([name for name in {TRAINING} if u.find_spec(name)])"
    done = subprocess.run([bare_python, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.example
def test_the_bare_install_serves_and_scores(
    bare_python: Path, repo: Path, model: Path, tmp_path: Path, golden: tuple[GoldenRow, ...], two_customers: bytes
) -> None:
    """Outside any repository, as in a container."""
    env = {"PYTHONPATH": str(repo / "src"), "PYTHONWARNINGS": "error"}
    with service_of(model, tmp_path, env=env, python=str(bare_python)) as service:
        answer = service.score([row.row for row in golden])
        assert answer.json["probability"] == pytest.approx([row.probabilities[-1] for row in golden], abs=1e-5)
        assert service.request(two_customers).status == 200
        assert b"swagger-ui" in get(service.url + "/docs")
        assert json.loads(get(service.url + "/openapi.json"))["openapi"].startswith("3.")
