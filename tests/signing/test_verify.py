"""What is served is what was approved: models exchanged, changed or signed by others are refused at deploy and at serve, offline.

Each step of `signing/verification.py` has a tampering here that only it finds: without the step, that test fails.
"""

import json
import mmap
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest

from command import run_cli
from models_made import make_model, release_of
from pushline.errors import NotTrusted
from pushline.files import content_hash, write_json
from pushline.progress import silent
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.mlflow_store import CONTENT, MlflowStore
from pushline.registry.signature import sign_version
from pushline.registry.store import MANIFEST
from pushline.release.folders import ReleaseFolders
from pushline.release.stages import deploy
from pushline.results import Decision, RegisterResult
from pushline.serving.keys import make_keys
from pushline.serving.serve import serve
from pushline.settings import Serving, load_settings
from pushline.signing import SIGNATURE, Signers, verify
from pushline.signing.bundle import read_bundle
from pushline.signing.signers import GITHUB, GithubSigner, own_key
from pushline.signing.verification import manifest_of
from release.registered import BETTER, GOOD, register_versions
from signed import KEY, STRANGER, signed, trust
from working_copy import copy_project

FILES = ("MLmodel", "card.md", "conda.yaml", "contract.json", "explanation.npz", "golden.json", "matrix.onnx", "model.onnx",
         "python_env.yaml", "requirements.txt", "scoring.json")  # fmt: skip
ELSEWHERE = "somebody/else"


class Reached(Exception):
    """The gate let the model through."""


class NoTarget:
    """A target that must not be reached."""

    name = "local"

    def deploy_candidate(self, release: Any, progress: Any) -> NoReturn:
        raise Reached(release)


@dataclass(frozen=True)
class Registered:
    """A project whose registry holds two versions, and where the second one's model lies."""

    project: Project
    store: MlflowStore
    model: Path
    before: Path  # the first one's

    def approved(self) -> RegisterResult:
        """What register decided before anybody touched the model."""
        decision = Decision(accept=True, reason="it is better", evidence={})
        digest = self.store.version(BETTER).tags[MANIFEST]
        return RegisterResult(model_name=self.store.name, version=BETTER, champion=None, decision=decision, manifest=digest)

    def deploy(self, registered: RegisterResult | None = None) -> None:
        """Deploy version 2. The registry's own digest is made to fit: who can exchange a model can do that too."""
        self.store.tag(BETTER, {CONTENT: content_hash(self.model)})
        deploy(registered, None if registered else BETTER, self.store, NoTarget(), self.project, progress=silent)  # type: ignore[arg-type]

    def serve(self, model: Path) -> None:
        """Serve a folder as a release does; the port is taken, so that what the gate lets through ends there."""
        keys = self.project.state / "keys.json"
        if not keys.exists():
            make_keys(keys)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            settings = Serving(host="127.0.0.1", port=taken.getsockname()[1])
            try:
                serve(model, settings, signers=self.project.signers, keys=keys, progress=silent)
            except NotTrusted:
                raise
            except Exception as error:
                raise Reached from error


@pytest.fixture(scope="module")
def template(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    place = tmp_path_factory.mktemp("registered")
    (place / "project").mkdir()
    project = copy_project(repo, place / "project")
    register_versions(project, place, (GOOD, BETTER))
    store = open_store(project, load_settings(project.root, {}))
    assert isinstance(store, MlflowStore)
    for number in (GOOD, BETTER):
        store.tag(number, {MANIFEST: manifest_of(store.download(number))})
    return Registered(project, store, store.download(BETTER), store.download(GOOD))


@pytest.fixture
def registered(template: Registered, tmp_path: Path) -> Iterator[Registered]:
    """The same for every test: its folder and its signers are put back."""
    shutil.copytree(template.model, tmp_path / "whole")
    shutil.copytree(template.project.signers, tmp_path / "signers")
    yield template
    for place, kept in ((template.model, tmp_path / "whole"), (template.project.signers, tmp_path / "signers")):
        shutil.rmtree(place)
        shutil.copytree(kept, place)
    template.store.tag(BETTER, {CONTENT: content_hash(template.model)})


def changed(name: str) -> Callable[[Registered], str]:
    def act(of: Registered) -> str:
        file = of.model / name
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        return f"{name} is not the file that was signed"

    return act


def removed(name: str) -> Callable[[Registered], str]:
    def act(of: Registered) -> str:
        (of.model / name).unlink()
        return f"{name} is missing"

    return act


def added(name: str) -> Callable[[Registered], str]:
    def act(of: Registered) -> str:
        (of.model / name).parent.mkdir(exist_ok=True)
        (of.model / name).write_bytes(b"import os")
        return f"{name} was added"

    return act


def linked(of: Registered) -> str:
    (of.model / "card.md").rename(of.model.parent / "card.md")
    (of.model / "card.md").symlink_to(of.model.parent / "card.md")
    return "card.md is not the file that was signed"


def stripped(of: Registered) -> str:
    (of.model / SIGNATURE).unlink()
    return "no signature"


def emptied(of: Registered) -> str:
    (of.model / SIGNATURE).write_bytes(b"")
    return "can't be read"


def rewritten(of: Registered, how: Callable[[dict[str, Any]], None]) -> None:
    """Write another manifest below the signature that is there."""
    bundle = json.loads((of.model / SIGNATURE).read_bytes())
    statement = json.loads(read_bundle(json.dumps(bundle).encode()).dsse_envelope.payload)
    how(statement)
    bundle["dsseEnvelope"]["payload"] = json.loads(msgspec.json.encode(msgspec.json.encode(statement)))
    (of.model / SIGNATURE).write_text(json.dumps(bundle))


def manifest_rewritten(of: Registered) -> str:
    changed("scoring.json")(of)
    digest = content_hash(of.model / "scoring.json")

    def lie(statement: dict[str, Any]) -> None:
        for resource in statement["predicate"]["resources"]:
            if resource["name"] == "scoring.json":
                resource["digest"] = digest

    rewritten(of, lie)
    return "not over this manifest"


def origin_rewritten(of: Registered) -> str:
    signed(of.model, branch="elsewhere")
    rewritten(of, lambda statement: statement["predicate"]["origin"].update(branch="main"))
    return "not over this manifest"


def signature_of_another(of: Registered) -> str:
    shutil.copy(of.before / SIGNATURE, of.model / SIGNATURE)
    return "is not the file that was signed"


def signed_by_a_stranger(of: Registered) -> str:
    signed(of.model, STRANGER)
    return "is signed with the key"


def hint_of_another(of: Registered) -> str:
    signed(of.model, STRANGER)
    ours = json.loads((of.before / SIGNATURE).read_bytes())["verificationMaterial"]
    theirs = json.loads((of.model / SIGNATURE).read_bytes())
    (of.model / SIGNATURE).write_text(json.dumps({**theirs, "verificationMaterial": ours}))
    return "not over this manifest"


def key_taken_back(of: Registered) -> str:
    (of.project.signers / "tests.pub").unlink()
    return "is signed with the key"


def key_swapped(of: Registered) -> str:
    trust(of.project.signers, STRANGER)
    return "is signed with the key"


TAMPERINGS: dict[str, Callable[[Registered], str]] = {
    **{f"{name} changed": changed(name) for name in FILES},
    **{f"{name} removed": removed(name) for name in FILES},
    "file added": added("sitecustomize.py"),
    "folder added": added("code/loader.py"),
    "hidden file added": added(".hidden"),
    "file made a link": linked,
    "signature stripped": stripped,
    "signature emptied": emptied,
    "manifest rewritten": manifest_rewritten,
    "origin rewritten": origin_rewritten,
    "signature of another version": signature_of_another,
    "signed by a stranger": signed_by_a_stranger,
    "stranger under a known name": hint_of_another,
    "key taken back": key_taken_back,
    "key swapped": key_swapped,
}


def test_the_list_of_files_is_that_of_a_model_folder(template: Registered) -> None:
    assert sorted(file.name for file in template.model.iterdir()) == sorted((*FILES, SIGNATURE))


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_what_was_tampered_with_is_refused_at_deploy_and_at_serve(registered: Registered, tampering: str) -> None:
    told = TAMPERINGS[tampering](registered)
    with pytest.raises(NotTrusted) as at_deploy:
        registered.deploy()
    with pytest.raises(NotTrusted) as at_serve:
        registered.serve(registered.model)
    assert told in at_deploy.value.why
    assert told in at_serve.value.why


def test_what_nobody_touched_passes_both_gates(registered: Registered) -> None:
    with pytest.raises(Reached):
        registered.deploy(registered.approved())
    with pytest.raises(Reached):
        registered.serve(registered.model)


def replay(of: Registered) -> None:
    shutil.rmtree(of.model)
    shutil.copytree(of.before, of.model)


def test_an_older_version_under_the_number_of_a_newer_one_is_not_deployed(registered: Registered) -> None:
    approved = registered.approved()
    replay(registered)
    with pytest.raises(NotTrusted, match="not as what was approved"):
        registered.deploy()
    registered.store.tag(BETTER, {MANIFEST: manifest_of(registered.model)})
    try:
        with pytest.raises(NotTrusted, match="not as what was approved"):
            registered.deploy(approved)
    finally:
        registered.store.tag(BETTER, {MANIFEST: approved.manifest})


def test_an_older_version_in_the_place_of_a_newer_release_is_not_served(registered: Registered, tmp_path: Path) -> None:
    digest = manifest_of(registered.model)
    shutil.copytree(registered.before, tmp_path / "release" / "model")
    (tmp_path / "release" / "release.json").write_text(json.dumps({"release": {"id": "v2", "model_version": "2", "manifest": digest}}))
    with pytest.raises(NotTrusted) as told:
        registered.serve(tmp_path / "release" / "model")
    assert "it is another version" in told.value.why


@pytest.mark.parametrize(("origin", "told"), [
    ({"branch": "try"}, "trained on the branch try, and this is the branch main"),
    ({"branch": ""}, "trained on no branch"),
    ({"after": 2}, "when the registry already held version 2"),
])  # fmt: skip
def test_what_was_signed_for_another_place_is_not_deployed(registered: Registered, origin: dict[str, Any], told: str) -> None:
    signed(registered.model, **origin)
    registered.store.tag(BETTER, {MANIFEST: manifest_of(registered.model)})
    with pytest.raises(NotTrusted) as refused:
        registered.deploy()
    assert told in refused.value.why


def test_a_manifest_of_another_repository_is_not_deployed(registered: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    signed(registered.model, repository=ELSEWHERE)
    registered.store.tag(BETTER, {MANIFEST: manifest_of(registered.model)})
    monkeypatch.setattr("pushline.signing.verification.repository_of", lambda root: "acme/shop")
    with pytest.raises(NotTrusted) as refused:
        registered.deploy()
    assert "trained in the repository somebody/else, not in acme/shop" in refused.value.why


def test_a_release_that_swaps_its_model_does_not_start_its_workers_again(registered: Registered, tmp_path: Path) -> None:
    """A worker asks again when it starts: the folder may have changed since the service did."""
    from pushline.serving.running import Place, Running
    from pushline.serving.service import Service

    make_keys(tmp_path / "keys.json")
    changed("scoring.json")(registered)
    running = Running(
        model=registered.model, release="r", version="2", keys=tmp_path / "keys.json", log=None, settings=Serving(),
        signers=registered.project.signers,
    )  # fmt: skip
    with socket.socket() as listener, socket.socket() as lifeline, mmap.mmap(-1, 4096) as shared:
        place = Place(listener=listener, lifeline=lifeline, shared=shared, slot=0, slots=1)
        with pytest.raises(NotTrusted, match="is not taken"):
            Service(running, place)


def test_a_release_from_before_models_were_signed_goes_on_and_comes_back(registered: Registered, tmp_path: Path) -> None:
    """A restart of the machine or a rollback after an upgrade is no outage: whoever starts it is told."""
    stripped(registered)
    folders = ReleaseFolders(tmp_path / "releases")
    kept = folders.keep(release_of(registered.model, 1), Serving())
    file = tmp_path / "releases" / kept.id / "release.json"
    record = json.loads(file.read_text())
    record["release"].pop("manifest", None)  # as the engine before wrote it
    file.write_text(json.dumps(record))
    with pytest.raises(Reached):
        registered.serve(Path(kept.model))
    folders.promoted(kept, Serving())
    with pytest.raises(Reached):
        registered.serve(Path(kept.model))


def test_the_commands_say_what_is_wrong_and_end_with_the_exit_code_of_a_gate(registered: Registered) -> None:
    changed("card.md")(registered)
    registered.store.tag(BETTER, {CONTENT: content_hash(registered.model)})
    for command in (("deploy", "--version", BETTER), ("serve", "--model", str(registered.model))):
        ran = run_cli(registered.project, *command)
        assert ran.code == 1
        assert "Its card.md is not the file that was signed." in ran.err
        assert "Traceback" not in ran.err


def test_a_key_is_made_once_and_its_public_half_lies_in_the_repository(project: Project) -> None:
    key = own_key(project)
    assert own_key(project).private_numbers() == key.private_numbers()
    assert len(list(project.signers.glob("*.pub"))) == 2  # beside the tests' own
    assert (project.state / "signing.pem").stat().st_mode & 0o077 == 0


def test_a_machine_whose_key_was_taken_out_of_the_repository_trains_nothing(project: Project) -> None:
    from pushline.errors import SettingsError

    own_key(project)
    shutil.rmtree(project.signers)
    with pytest.raises(SettingsError, match="would not be trusted"):
        own_key(project)


def test_another_model_can_not_borrow_a_signature(project: Project, tmp_path: Path, registered: Registered) -> None:
    other = make_model(project, tmp_path / "other", seed=9)
    shutil.copy(registered.model / SIGNATURE, other / SIGNATURE)
    with pytest.raises(NotTrusted):
        verify(other, Signers(trust(tmp_path / "signers", KEY)))


def test_a_version_of_before_models_were_signed_is_signed_by_whoever_looked_at_it(registered: Registered) -> None:
    stripped(registered)
    with pytest.raises(NotTrusted, match="is not taken") as told:
        registered.deploy()
    assert "registry sign VERSION" in told.value.do
    digest = sign_version(registered.project, registered.store, BETTER)
    assert registered.store.version(BETTER).tags[MANIFEST] == digest
    with pytest.raises(Reached):
        registered.deploy()


@pytest.mark.parametrize("attestations", [False, None])
def test_in_a_job_without_attestations_the_key_of_an_earlier_job_says_that_nothing_changed(
    registered: Registered, monkeypatch: pytest.MonkeyPatch, attestations: bool | None
) -> None:
    for name, value in (("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "example/bank"), ("GITHUB_REF_NAME", "main")):
        monkeypatch.setenv(name, value)
    if attestations is not None:
        write_json(registered.project.signers / GITHUB, GithubSigner(repository="example/bank", attestations=attestations))
    signed(registered.model, STRANGER, repository="example/bank")
    with pytest.raises(Reached):
        registered.deploy()
    with pytest.raises(Reached):  # the service that it starts trusts that key from now on
        registered.serve(registered.model)
    changed("contract.json")(registered)
    with pytest.raises(NotTrusted):
        registered.deploy()


def test_in_a_job_with_attestations_no_key_but_those_of_the_repository_is_trusted(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "example/bank"), ("GITHUB_REF_NAME", "main")):
        monkeypatch.setenv(name, value)
    write_json(registered.project.signers / GITHUB, GithubSigner(repository="example/bank"))
    signed(registered.model, STRANGER, repository="example/bank")
    with pytest.raises(NotTrusted) as told:
        registered.deploy()
    assert "is signed with the key" in told.value.why


def stranger_everywhere(signers: Signers, hint: str) -> Any:
    return STRANGER.public_key()


def nothing(*given: Any, **named: Any) -> None:
    """A step that was taken out."""


# What a step alone holds off: without it, that tampering goes through.
STEPS: dict[str, tuple[str, Any, str]] = {
    "files": ("pushline.signing.verification.refuse_changes", nothing, "card.md changed"),
    "no file added": ("pushline.signing.verification.refuse_changes", nothing, "file added"),
    "signature": ("pushline.signing.verification.verify_signature", nothing, "origin rewritten"),
    "known key": ("pushline.signing.signers.Signers.key", stranger_everywhere, "signed by a stranger"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_is_taken_out_lets_its_tampering_through(registered: Registered, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    place, mutant, tampering = STEPS[step]
    TAMPERINGS[tampering](registered)
    registered.store.tag(BETTER, {MANIFEST: manifest_of(registered.model)})
    with pytest.raises(NotTrusted):
        registered.deploy()
    monkeypatch.setattr(place, mutant)
    with pytest.raises(Reached):
        registered.deploy()
    with pytest.raises(Reached):
        registered.serve(registered.model)


def test_a_manifest_of_another_branch_goes_through_only_where_nobody_asks_for_its_place(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed(registered.model, branch="try")
    registered.store.tag(BETTER, {MANIFEST: manifest_of(registered.model)})
    monkeypatch.setattr("pushline.signing.verification.refuse_other", nothing)
    with pytest.raises(Reached):
        registered.deploy()
