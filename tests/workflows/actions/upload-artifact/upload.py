"""What upload-artifact does where it matters: globs and exclusions, no hidden files, paths kept below the least common folder."""

import os
import shutil
import sys
from pathlib import Path


def files_below(place: Path) -> set[Path]:
    return {file for file in place.rglob("*") if file.is_file()} if place.is_dir() else {place}


def matches(pattern: str) -> set[Path]:
    root = Path.cwd()
    return {file for place in root.glob(pattern.rstrip("/")) for file in files_below(place)}


def hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(Path.cwd()).parts)


def main() -> int:
    wanted, patterns = set[Path](), [line.strip() for line in os.environ["PATHS"].splitlines() if line.strip()]
    for pattern in patterns:
        wanted = wanted - matches(pattern[1:]) if pattern.startswith("!") else wanted | matches(pattern)
    if os.environ["HIDDEN"] != "true":
        wanted = {file for file in wanted if not hidden(file)}
    if not wanted:
        level = os.environ["NOTHING"]
        print(f"::{'error' if level == 'error' else 'warning'}::No files were found with the provided path: {patterns}")
        return 1 if level == "error" else 0
    searched = [pattern for pattern in patterns if not pattern.startswith("!")]
    if len(searched) == 1 and "*" not in searched[0]:
        only = Path(searched[0]).resolve()
        top = only if only.is_dir() else only.parent
    else:
        top = Path(os.path.commonpath([str(file.parent) for file in wanted]))
    store = Path(os.environ["TEST_STORE"]) / os.environ["GITHUB_RUN_ID"] / os.environ["ARTIFACT"]
    if store.exists():
        if os.environ["OVERWRITE"] != "true":
            print(f"::error::Failed to CreateArtifact: an artifact named {store.name} already exists")
            return 1
        shutil.rmtree(store)
    for file in sorted(wanted):
        to = store / file.relative_to(top)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)  # rights are not kept
    print(f"{len(wanted)} files kept as {store.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
