"""A fault in the code of a release: PLANTED names it, and it shows from the moment when the file PLANTED_FROM is there.

An interpreter that finds this folder on PYTHONPATH imports it as it starts.
"""

import os
import time
import zlib
from pathlib import Path
from typing import Any

FAULT, FROM = os.environ.get("PLANTED", ""), Path(os.environ.get("PLANTED_FROM", ""))

if FAULT:
    from pushline.serving.scorer import Scorer

    honest, kept = Scorer.score, []

    def score(self: Scorer, body: bytes) -> list[Any]:
        started = time.perf_counter()
        shown = honest(self, body)
        if not FROM.exists():
            return shown
        if FAULT == "slow":
            time.sleep(max(0.002, 9 * (time.perf_counter() - started)))
        elif FAULT == "leak":
            kept.append(b"x" * 300_000)
        elif FAULT == "fail" and zlib.crc32(body) % 100 == 0:
            raise RuntimeError("one row of a hundred")
        elif FAULT == "hour":
            shown = [min(1.0, probability + 0.3) for probability in shown]
        return shown

    Scorer.score = score  # type: ignore[method-assign]
