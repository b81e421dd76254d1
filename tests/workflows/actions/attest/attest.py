"""Signs what is attested as the job's workflow, with the Sigstore of the tests, and writes it down; of an SBOM, its components."""

import hashlib
import json
import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "src")]


def main() -> int:
    if pattern := os.environ["FILE"]:
        return attest_file(pattern)
    algorithm, _, digest = os.environ["DIGEST"].partition(":")
    if algorithm != "sha256" or len(digest) != 64:
        print(f"::error::Invalid digest format: {os.environ['DIGEST']}")
        return 1
    place = Path(os.environ["TEST_STORE"]).parent / "attestations"
    place.mkdir(exist_ok=True)
    run = os.environ["GITHUB_RUN_ID"]
    if sbom := os.environ["SBOM"]:
        said = {"digest": digest, "components": len(json.loads(Path(sbom).read_text(encoding="utf-8"))["components"])}
        (place / f"{run}-sbom.json").write_text(json.dumps(said), encoding="utf-8")
        return 0
    from sigstore_made import attestation

    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": os.environ["SUBJECT"], "digest": {algorithm: digest}}],
        "predicateType": os.environ["KIND"],
        "predicate": json.loads(Path(os.environ["PREDICATE"]).read_text(encoding="utf-8")),
    }
    who = {"repository": os.environ["GITHUB_REPOSITORY"], "ref": os.environ["GITHUB_REF"]}
    file = place / f"{run}-model.jsonl"
    file.write_text(json.dumps(attestation(json.dumps(statement).encode(), **who)) + "\n", encoding="utf-8")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"bundle-path={file}\n")
    return 0


def attest_file(pattern: str) -> int:
    """Write down the digest of the one file that the pattern means."""
    subjects = sorted(Path().glob(pattern))
    if not subjects:
        print(f"::error::Could not find subject at path {pattern}")
        return 1
    said = {"subjects": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in subjects}}
    place = Path(os.environ["TEST_STORE"]).parent / "attestations"
    place.mkdir(exist_ok=True)
    (place / f"{os.environ['GITHUB_RUN_ID']}-provenance.json").write_text(json.dumps(said), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
