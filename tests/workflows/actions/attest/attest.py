"""Writes down what would be attested: each subject's digest, and the SBOM's components."""

import hashlib
import json
import os
import sys
from pathlib import Path


def main() -> int:
    subjects = sorted(Path().glob(os.environ["SUBJECT"]))
    if not subjects:
        print(f"::error::Could not find subject at path {os.environ['SUBJECT']}")
        return 1
    said = {"subjects": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in subjects}}
    if sbom := os.environ["SBOM"]:
        said["components"] = len(json.loads(Path(sbom).read_text(encoding="utf-8"))["components"])
    place = Path(os.environ["TEST_STORE"]).parent / "attestations"
    place.mkdir(exist_ok=True)
    (place / f"{os.environ['GITHUB_RUN_ID']}-{'sbom' if sbom else 'provenance'}.json").write_text(json.dumps(said), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
