"""What a batch deployment of Azure ML runs on its nodes: `init` once in each process, `run` for each mini-batch of files.

Azure's own packages need other versions of what we need. So this file imports nothing but the standard library, and the scoring
runs in a Python of ours beside Azure's.
"""

import os
import subprocess
import sys
from pathlib import Path

CODE = Path(__file__).resolve().parents[2]
MARK = "scoring.json"  # what every model folder holds


def init() -> None:
    """Nothing is kept between mini-batches: a part takes longer than loading its model."""


def run(mini_batch: list[str]) -> list[str]:
    """Score the parts into the job's output; their names go back, so that Azure counts them as done. Raises RuntimeError."""
    ours = os.environ.get("PARTS_PYTHON", "")
    model = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob(MARK)).parent
    command = [ours if Path(ours).is_file() else sys.executable, "-m", "pushline.batch.parts", "--model", str(model)]
    command += ["--model-version", os.environ["PARTS_MODEL_VERSION"], "--out", os.environ["AZUREML_BI_OUTPUT_PATH"]]
    done = subprocess.run([*command, *mini_batch], cwd=CODE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(" | ".join(done.stderr.strip().splitlines()[-4:]))
    return [Path(file).name for file in mini_batch]
