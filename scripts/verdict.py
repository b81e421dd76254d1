"""The last word on a pull request: every job succeeded, or was skipped because `plan` said so.

Reads NEEDS, GitHub's JSON of the jobs this one waited for.
"""

import json
import os
import sys
from typing import Any

# What `plan` may order to be skipped, by the outputs that order it: a job runs where any of them is true.
ORDERED_BY = {"test": ("code",), "data": ("data",), "rehearsal": ("code", "data")}


def faults(needs: dict[str, dict[str, Any]]) -> list[str]:
    """What keeps the pull request from merging, a line each; empty: nothing does."""
    ordered = needs.get("plan", {}).get("outputs", {})
    found = []
    for job, said in needs.items():
        result = said["result"]
        if result == "success":
            continue
        by = ORDERED_BY.get(job, ())
        if result == "skipped" and by and all(ordered.get(name) == "false" for name in by):
            continue
        found.append(f"{job}: {result}" + (", and plan had not ordered that" if result == "skipped" else ""))
    return found if needs else ["no job was waited for"]


def main() -> int:
    found = faults(json.loads(os.environ["NEEDS"]))
    for line in found:
        print(f"::error::{line}")
    print("checks: " + ("failed" if found else "passed"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
