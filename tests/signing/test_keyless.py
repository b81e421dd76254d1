"""Models signed by the identity of a workflow: verified offline, and refused for any other repository, branch, workflow or time."""

import base64
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from pushline.errors import NotTrusted
from pushline.files import write_json
from pushline.signing import SIGNATURE, Signers, verify
from pushline.signing.manifest import Provenance, statement_of
from pushline.signing.signers import GITHUB, GithubSigner
from sigstore_made import LOG, ROGUE, WHEN, TimestampAuthority, attestation, trusted_root


@pytest.fixture
def signers(tmp_path: Path) -> Signers:
    """A repository that trusts the workflows of example/bank."""
    folder = tmp_path / "signers"
    folder.mkdir()
    write_json(folder / GITHUB, GithubSigner(repository="example/bank"))
    (folder / "trusted_root.jsonl").write_text(json.dumps(trusted_root()) + "\n")
    return Signers(folder)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (folder / "matrix.onnx").write_bytes(b"graph")
    (folder / "parts" / "contract.json").write_text("{}")
    return folder


def attested(model: Path, **how: Any) -> Path:
    """The folder with what the workflow attested of it."""
    origin = Provenance(repository="example/bank", branch="main", git_revision="abc", after=0)
    payload = msgspec.json.encode(statement_of(model, "model", origin))
    (model / SIGNATURE).write_text(json.dumps(attestation(payload, **how)))
    return model


@pytest.mark.parametrize("workflow", ["deliver.yml", "retrain.yml"])
def test_a_model_attested_by_a_workflow_that_delivers_is_taken(model: Path, signers: Signers, workflow: str) -> None:
    assert verify(attested(model, workflow=workflow), signers).origin.repository == "example/bank"


FORGERIES: dict[str, tuple[dict[str, Any], str]] = {
    "another repository": ({"repository": "stranger/bank"}, "trained in the repository https://github.com/stranger/bank"),
    "a repository with a longer name": ({"repository": "example/bank-2"}, "trained in the repository"),
    "another branch": ({"ref": "refs/heads/try"}, "trained on refs/heads/try, not on the branch main"),
    "a tag called main": ({"ref": "refs/tags/main"}, "trained on refs/tags/main"),
    "a pull request": ({"ref": "refs/pull/1/merge"}, "trained on refs/pull/1/merge"),
    "another workflow": ({"workflow": "checks.yml"}, "signed by another workflow"),
    "another issuer": ({"issuer": "https://accounts.example.com"}, "not given to a job of GitHub Actions"),
    "an authority that nobody trusts": ({"by": ROGUE}, "No authority that is trusted"),
    "no log": ({"log": None}, "Nobody who is trusted says when"),
    "a log that nobody trusts": ({"log": ROGUE}, "The log did not promise"),
    "after the certificate ended": ({"at": WHEN + timedelta(hours=1)}, "it was not valid on"),
    "before the certificate began": ({"at": WHEN - timedelta(hours=1)}, "it was not valid on"),
    "a certificate for something else": ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "not for signing code"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_others_attest_is_refused(model: Path, signers: Signers, forgery: str) -> None:
    how, told = FORGERIES[forgery]
    with pytest.raises(NotTrusted) as refused:
        verify(attested(model, **how), signers)
    assert told in refused.value.why


def test_another_statement_below_the_same_certificate_is_refused(model: Path, signers: Signers) -> None:
    attested(model)
    bundle = json.loads((model / SIGNATURE).read_bytes())
    (model / "matrix.onnx").write_bytes(b"another")
    attested(model, log=None)
    later = json.loads((model / SIGNATURE).read_bytes())
    bundle["dsseEnvelope"]["payload"] = later["dsseEnvelope"]["payload"]
    (model / SIGNATURE).write_text(json.dumps(bundle))
    with pytest.raises(NotTrusted, match="is not taken") as refused:
        verify(model, signers)
    assert "The log's entry is of another signature" in refused.value.why


def test_a_changed_file_is_found_below_an_attestation_too(model: Path, signers: Signers) -> None:
    attested(model)
    (model / "parts" / "contract.json").write_text("[]")
    with pytest.raises(NotTrusted) as refused:
        verify(model, signers)
    assert "parts/contract.json is not the file that was signed" in refused.value.why


def test_without_a_reviewed_identity_no_workflow_is_believed(model: Path, signers: Signers) -> None:
    (signers.folder / GITHUB).unlink()
    with pytest.raises(NotTrusted) as refused:
        verify(attested(model), Signers(signers.folder))
    assert "pushline bootstrap github" in refused.value.why


@pytest.mark.parametrize("spoiled", ["", "{}", "[]", '{"mediaType": 1}'])
def test_a_bundle_that_is_none_is_refused_in_words(model: Path, signers: Signers, spoiled: str) -> None:
    (model / SIGNATURE).write_text(spoiled)
    with pytest.raises(NotTrusted):
        verify(model, signers)


@pytest.mark.parametrize("part", ["certificate", "tlogEntries"])
def test_material_that_can_not_be_read_is_refused_in_words(model: Path, signers: Signers, part: str) -> None:
    attested(model)
    bundle = json.loads((model / SIGNATURE).read_bytes())
    bundle["verificationMaterial"][part] = (
        {"rawBytes": "AAAA"} if part == "certificate" else [{"logId": {"keyId": "x"}, "canonicalizedBody": 1}, {}]
    )
    (model / SIGNATURE).write_text(json.dumps(bundle))
    with pytest.raises(NotTrusted):
        verify(model, signers)


def test_a_timestamp_authority_stands_in_for_the_log(model: Path, signers: Signers, tmp_path: Path) -> None:
    """As private repositories have it: GitHub's own instance keeps no log."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine makes timestamps")
    stamping = TimestampAuthority(tmp_path / "tsa", openssl)
    stamped(attested(model, log=None, begun=datetime.now(UTC) - timedelta(minutes=5)), stamping)
    with pytest.raises(NotTrusted) as refused:
        verify(model, signers)
    assert "Nobody who is trusted says when" in refused.value.why
    (signers.folder / "private.jsonl").write_text(json.dumps(stamping.trusted_root()) + "\n")
    verify(model, Signers(signers.folder))
    stamped(attested(model, log=None, begun=datetime.now(UTC) - timedelta(minutes=30)), stamping)
    with pytest.raises(NotTrusted) as refused:
        verify(model, Signers(signers.folder))
    assert "it was not valid on" in refused.value.why


def stamped(model: Path, by: TimestampAuthority) -> None:
    bundle = json.loads((model / SIGNATURE).read_bytes())
    stamp = by.stamp(base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"]))
    bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": stamp}]}
    (model / SIGNATURE).write_text(json.dumps(bundle))


def test_the_log_is_asked_by_its_own_name(model: Path, signers: Signers) -> None:
    root = trusted_root()
    root["tlogs"][0]["logId"]["keyId"] = "AAAA"
    (signers.folder / "trusted_root.jsonl").write_text(json.dumps(root) + "\n")
    with pytest.raises(NotTrusted) as refused:
        verify(attested(model, log=LOG), Signers(signers.folder))
    assert "Nobody who is trusted says when" in refused.value.why


# Without the step, what it holds off is taken.
STEPS: dict[str, tuple[str, Any, str]] = {
    "authority": ("refuse_unknown_authority", lambda *given: None, "an authority that nobody trusts"),
    "identity": ("refuse_other_identity", lambda *given: None, "another repository"),
    "workflow": ("refuse_other_identity", lambda *given: None, "another workflow"),
    "time": ("logged", lambda *given: iter([WHEN]), "no log"),
    "the log's promise": ("logged", lambda *given: iter([WHEN]), "a log that nobody trusts"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_taken_out_lets_its_forgery_through(model: Path, signers: Signers, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    name, mutant, forgery = STEPS[step]
    attested(model, **FORGERIES[forgery][0])
    with pytest.raises(NotTrusted):
        verify(model, signers)
    monkeypatch.setattr(f"pushline.signing.keyless.{name}", mutant)
    verify(model, signers)
