"""What download-artifact does where it matters: by name it must be there, by pattern it may; another run's need a token."""

import fnmatch
import os
import shutil
import sys
from pathlib import Path


def main() -> int:
    run, to = os.environ["FROM_RUN"], Path(os.environ["TO"])
    if run != os.environ["GITHUB_RUN_ID"] and not os.environ["TOKEN"]:
        print("::error::github-token is needed for another run's artifacts")
        return 1
    store = Path(os.environ["TEST_STORE"]) / run
    kept = sorted(entry.name for entry in store.iterdir()) if store.is_dir() else []
    if name := os.environ["ARTIFACT"]:
        if name not in kept:
            print(f"::error::Unable to download artifact(s): Artifact not found for name: {name}")
            return 1
        chosen = [name]
    else:
        chosen = [name for name in kept if fnmatch.fnmatchcase(name, os.environ["PATTERN"] or "*")]
    flat = bool(os.environ["ARTIFACT"]) or os.environ["MERGE"] == "true"
    for name in chosen:
        shutil.copytree(store / name, to if flat else to / name, dirs_exist_ok=True)
    print(f"brought {chosen}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
