"""The scoring image is built, run and asked for real: as nobody, with a read-only root and no capability."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from image.conftest import Builder, Engine
from pushline.progress import silent
from pushline.project import Project
from pushline.release.load import breaches, put_load
from pushline.release.smoke import assertions_on
from pushline.results import Release
from pushline.serving.keys import EndpointKeys, make_keys
from pushline.settings import Load

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.timeout(600)]
NOBODY = 10001


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def until(true: Callable[[], bool], alive: Callable[[], bool]) -> None:
    """Wait for as long as what it waits for is alive; a machine with much to do is slow, and no fault."""
    while not true():
        assert alive() or true(), "it ended"
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Container:
    def __init__(self, engine: Engine, name: str, port: int, keys: EndpointKeys) -> None:
        self.engine, self.name, self.port, self.keys = engine, name, port, keys
        self.url = f"http://127.0.0.1:{port}"

    def alive(self) -> bool:
        return bool(self.engine.inspect(self.name)["State"]["Running"])


@contextmanager
def container(engine: Engine, image: str, folder: Path, *command: str, port: int) -> Iterator[Container]:
    """The image as production runs it; the port by its environment, or as in `command`."""
    file = folder / "keys.json"
    held = make_keys(file)
    os.chown(file, NOBODY, NOBODY)
    how = ["--network", "host", "--read-only", "--tmpfs", "/tmp", "--cap-drop=all", "--security-opt", "no-new-privileges"]
    how += ["--memory", "512m", "--pids-limit", "64", "-v", f"{file}:/run/secrets/keys.json:ro"]
    how += [] if command else ["-e", f"PUSHLINE_SERVING__PORT={port}"]
    name = engine.run("run", "-d", *how, image, *command)
    try:
        found = Container(engine, name, port, held)
        until(lambda: answers(found.url + "/readyz"), found.alive)
        yield found
    finally:
        engine.run("rm", "-f", "-t", "0", name)


@pytest.fixture(scope="module")
def running(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with container(engine, image, tmp_path_factory.mktemp("running"), port=free_port()) as found:
        yield found


def test_the_container_passes_smoke_and_ends_well(engine: Engine, image: str, release: Release, tmp_path: Path) -> None:
    with container(engine, image, tmp_path, port=free_port()) as found:
        seen = assertions_on(found.url, release, found.keys)
        assert all(assertion.passed for assertion in seen), [assertion for assertion in seen if not assertion.passed]
        engine.run("healthcheck", "run", found.name)
        assert engine.inspect(found.name)["State"]["Health"]["Status"] == "healthy"
        engine.run("stop", "-t", "15", found.name)
        assert engine.inspect(found.name)["State"]["ExitCode"] == 0


def test_it_runs_as_nobody_without_any_capability(running: Container) -> None:
    code = "import os; print(os.getuid(), os.access('/app', os.W_OK), [l.split()[1] for l in open('/proc/1/status') if l[:3] == 'Cap'])"
    uid, writable, *capabilities = running.engine.run("exec", running.name, "python", "-c", code).split(" ", 2)
    assert (uid, writable) == (str(NOBODY), "False")
    assert set("".join(capabilities)) <= set("[]', 0")


def test_the_health_check_follows_the_port(engine: Engine, image: str, tmp_path: Path) -> None:
    port = free_port()
    command = ["python", "-m", "pushline", "serve", "--model", "/model", "--keys", "/run/secrets/keys.json", "--port", str(port)]
    with container(engine, image, tmp_path, *command, port=port) as found:
        engine.run("healthcheck", "run", found.name)
        assert engine.inspect(found.name)["State"]["Health"]["Status"] == "healthy"


def test_the_health_check_fails_where_nothing_answers(running: Container) -> None:
    code = "import subprocess, sys; print(subprocess.call([sys.executable, '-m', 'pushline.serving.healthcheck']))"
    assert running.engine.run("exec", running.name, "python", "-c", code) == "0"
    assert running.engine.run("exec", "-e", "PUSHLINE_SERVING__PORT=1", running.name, "python", "-c", code) == "1"


def test_labels_name_the_release_and_the_model_is_a_layer_of_its_own(engine: Engine, image: str, release: Release) -> None:
    found = engine.inspect(image)
    assert found["Config"]["Labels"]["pushline.model-version"] == release.model_version
    assert found["Config"]["Labels"]["pushline.release"] == release.id
    assert found["Config"]["Labels"]["org.opencontainers.image.revision"] == "abc123"
    assert found["User"] == f"{NOBODY}:{NOBODY}"
    history = [step["created_by"] for step in engine.inspect(image)["History"]]
    assert sum(" /model" in step for step in history) == 1
    assert found["Size"] < 450_000_000


def test_another_model_reuses_every_layer_below_it(engine: Engine, builder: Builder, image: str, context: Path) -> None:
    before = engine.inspect(image)["RootFS"]["Layers"]
    card = context / "model" / "card.md"
    content = card.read_text()
    try:
        card.write_text(content + "\nAnother one.\n")
        after = engine.inspect(builder.build("localhost/pushline-scoring:other"))["RootFS"]["Layers"]
    finally:
        card.write_text(content)
    differ = [number for number, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert differ
    assert min(differ) >= len(before) - 3  # the model, its names, and nothing under them


def test_the_image_is_built_the_same_again(engine: Engine, builder: Builder, image: str) -> None:
    again = builder.build(
        "localhost/pushline-scoring:again", "--no-cache", "--build-arg", "RELEASE=v3-test", "--build-arg", "MODEL_VERSION=3"
    )
    assert engine.inspect(again)["RootFS"]["Layers"] == engine.inspect(image)["RootFS"]["Layers"]


def test_no_training_library_and_no_key_is_in_the_image(engine: Engine, image: str) -> None:
    names = "['sklearn', 'pandas', 'mlflow', 'lightgbm', 'onnx']"
    places = "('/app', '/etc', '/model', '/opt', '/root', '/run', '/srv', '/tmp', '/var')"
    code = f"import importlib.util as u, os; print([n for n in {names} if u.find_spec(n)], "
    code += f"[f for top in {places} for _, _, files in os.walk(top) for f in files if f == 'keys.json'])"
    assert engine.run("run", "--rm", "--network", "none", "--user", "0", image, "python", "-c", code) == "[] []"


@contextmanager
def caddy(repo: Path, folder: Path, upstream: int) -> Iterator[tuple[str, str, Path]]:
    """The real Caddy with the real Caddyfile before a port: its https and http addresses, and its root certificate."""
    program = Path(sys.executable).with_name("caddy")
    ports = free_port(), free_port()
    environment = {
        **os.environ,
        "SITE": "localhost",
        "TLS_ISSUER": "internal",
        "UPSTREAM": f"127.0.0.1:{upstream}",
        "CADDY_STORAGE": str(folder / "caddy"),
        "HTTPS_PORT": str(ports[0]),
        "HTTP_PORT": str(ports[1]),
        "HOME": str(folder),
    }
    command = [str(program), "run", "--config", str(repo / "src/pushline/azure/Caddyfile"), "--adapter", "caddyfile"]
    root = folder / "caddy/pki/authorities/local/root.crt"
    with (folder / "caddy.txt").open("wb") as said, subprocess.Popen(command, env=environment, stdout=said, stderr=said) as process:
        try:
            until(root.exists, lambda: process.poll() is None)
            yield f"https://localhost:{ports[0]}", f"http://localhost:{ports[1]}", root
        finally:
            process.terminate()


def test_smoke_and_load_hold_behind_tls(
    running: Container, release: Release, repo: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caddy(repo, tmp_path, running.port) as (https, http, root):
        monkeypatch.setenv("SSL_CERT_FILE", str(root))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
        until(lambda: answers(https + "/readyz"), running.alive)
        seen = assertions_on(https, release, running.keys)
        assert all(assertion.passed for assertion in seen), [assertion for assertion in seen if not assertion.passed]
        slo = Load(rate=50, seconds=5, p95_ms=1000, p99_ms=2000)
        assert not breaches(put_load(project, https, release, running.keys.primary, slo, silent), slo)
        with urllib.request.urlopen(https + "/docs", timeout=60) as answer:
            assert answer.headers["strict-transport-security"]
            assert answer.headers["server"] is None
        curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", http + "/score?x=1"]
        if shutil.which("curl"):
            code, where = subprocess.run(curl, capture_output=True, text=True, check=True).stdout.split()
            assert code == "308"
            assert where.startswith("https://localhost")


def test_compose_brings_the_service_up_behind_tls(
    engine: Engine, image: str, release: Release, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """compose.yml as it is; its proxy's image is a stand-in that holds the very program, for none can be fetched everywhere."""
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY caddy /usr/bin/caddy\nENV PATH=/usr/bin\nCMD ["caddy"]\n')
    shutil.copy(Path(sys.executable).with_name("caddy"), tmp_path / "caddy")
    engine.run("build", "--quiet", "--network", "none", "--format", "docker", "-t", "localhost/pushline-caddy:test", str(tmp_path))
    held = make_keys(tmp_path / "keys.json")
    os.chown(tmp_path / "keys.json", NOBODY, NOBODY)
    http, https = free_port(), free_port()
    names = {"SCORING_IMAGE": image, "CADDY_IMAGE": "localhost/pushline-caddy:test", "KEYS_FILE": str(tmp_path / "keys.json")}
    environment = {
        **engine.environment,
        **names,
        "CADDYFILE": str(repo / "src/pushline/azure/Caddyfile"),
        "HTTP_PORT": str(http),
        "HTTPS_PORT": str(https),
    }
    compose = [sys.executable, "-m", "podman_compose", "--project-name", "pushline-test", "-f", str(repo / "compose.yml")]

    def run(*arguments: str) -> None:
        done = subprocess.run([*compose, *arguments], env=environment, cwd=repo, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run("up", "-d", "--no-build")
    try:
        root = tmp_path / "root.crt"
        held_by = "/data/caddy/pki/authorities/local/root.crt"
        both = [Container(engine, f"pushline-test_{name}_1", https, held) for name in ("caddy", "scoring")]

        def alive() -> bool:
            return all(each.alive() for each in both)

        until(lambda: not engine.run("cp", f"{both[0].name}:{held_by}", str(root), check=False) and root.exists(), alive)
        monkeypatch.setenv("SSL_CERT_FILE", str(root))
        until(lambda: answers(f"https://localhost:{https}/readyz"), alive)
        seen = assertions_on(f"https://localhost:{https}", release, held)
        assert all(assertion.passed for assertion in seen), [assertion for assertion in seen if not assertion.passed]
        state = engine.inspect("pushline-test_scoring_1")
        assert state["HostConfig"]["ReadonlyRootfs"]
        assert not state["EffectiveCaps"]
    finally:
        run("down", "-v", "-t", "1")
