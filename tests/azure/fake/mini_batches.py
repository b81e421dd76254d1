"""What runs a scoring script on the nodes of a batch deployment: `init` once in each process, `run` for each mini-batch of files."""

import importlib.util
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

scoring: Any = None


def begin(script: str) -> None:
    global scoring  # noqa: PLW0603 - one script a process
    found = importlib.util.spec_from_file_location("scoring_script", script)
    assert found is not None
    assert found.loader is not None
    scoring = importlib.util.module_from_spec(found)
    found.loader.exec_module(scoring)
    scoring.init()


def tried(batch: list[str], retries: int) -> str:
    """Empty where the mini-batch went through, within its retries."""
    said = ""
    for _ in range(retries + 1):
        try:
            answered = scoring.run(batch)
        except Exception as error:  # noqa: BLE001 - a scoring script may raise anything
            said = f"{type(error).__name__}: {error}"
            continue
        if len(answered) == len(batch):
            return ""
        said = f"run answered {len(answered)} items for {len(batch)} files"
    return said


def main() -> int:
    said = json.loads(sys.argv[1])
    files = sorted(str(file) for file in Path(said["rows"]).rglob("*") if file.is_file())
    size = said["mini_batch_size"]
    batches = [files[start : start + size] for start in range(0, len(files), size)]
    with ProcessPoolExecutor(said["processes"], get_context("spawn"), begin, (said["script"],)) as pool:
        faults = [fault for fault in pool.map(tried, batches, [said["retries"]] * len(batches)) if fault]
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    return 1 if -1 < said["error_threshold"] < len(faults) else 0


if __name__ == "__main__":
    sys.exit(main())
