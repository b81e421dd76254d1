"""The containers of a group as processes: what their image would start, with paths and ports moved to this machine."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake import monitor
from fake.proxy import free_port
from fake.world import SUFFIX

if TYPE_CHECKING:
    from fake.world import World

READY_S = 60.0
__all__ = ["SUFFIX", "Group"]


class Group:
    """A container group as it runs."""

    def __init__(self, world: "World", name: str, body: dict[str, Any], fqdn: str, behaviour: str) -> None:
        self.world, self.name, self.body, self.fqdn, self.behaviour = world, name, body, fqdn, behaviour
        self.folder = world.folder / "groups" / name / str(world.number())
        self.label = body["properties"]["ipAddress"].get("dnsNameLabel", "")
        self.state, self.provisioning = "Pending", "Creating"
        self.events: list[dict[str, Any]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[int, int] = {}
        self.settled = threading.Event()
        self.stopped = False
        self.light = world.light
        self.volumes = {volume["name"]: self.volume(volume) for volume in body["properties"].get("volumes") or []}

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [{"name": each["name"], **each["properties"]} for each in self.body["properties"]["containers"]]

    def volume(self, volume: dict[str, Any]) -> Path:
        """A folder with what the volume holds."""
        if volume.get("azureFile"):
            share = self.world.folder / "shares" / volume["azureFile"]["shareName"]
            share.mkdir(parents=True, exist_ok=True)
            self.world.authority.seed(share / "caddy")
            return share
        folder = self.folder / "volumes" / volume["name"]
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (volume.get("secret") or {}).items():
            if "secrets for root" in self.world.behaviour and name in ("keys.json", "word"):
                # The mode of mounted secrets is not documented: here the image's user can't read it, as little as a file that is not there.
                (folder / name).symlink_to(folder / "nowhere")
                continue
            (folder / name).write_bytes(base64.b64decode(content))
            (folder / name).chmod(0o600)
        return folder

    def start(self) -> None:
        """Start all containers and wait until their ports answer."""
        self.stopped = False
        if self.light and not self.behaviour:
            self.state, self.provisioning = "Running", "Succeeded"
            self.settled.set()
            return
        if self.behaviour == "pending":
            self.event("Pulling", "pulling image")
            return
        if self.is_preflight:
            self.play_preflight()
            return
        if self.behaviour == "crash":
            self.event("BackOff", "Back-off restarting failed container", count=3)
            self.state, self.provisioning = "Running", "Succeeded"
            self.settled.set()
            return
        self.ports = {port["port"]: free_port() for container in self.containers for port in container.get("ports") or []}
        for container in self.containers:
            self.launch(container)
        until = time.monotonic() + READY_S
        while time.monotonic() < until and not all(listens(port) for port in self.ports.values()):
            if self.stopped or any(process.poll() is not None for process in self.processes.values()):
                break
            time.sleep(0.05)
        if not self.stopped:
            self.state, self.provisioning = "Running", "Succeeded"
            self.event("Started", "Started container")
        self.settled.set()

    @property
    def is_preflight(self) -> bool:
        return [each["name"] for each in self.containers] == ["preflight"]

    def play_preflight(self) -> None:
        """What the one line of `doctor --azure` says: it adds a user to its container, which this machine is spared."""
        secret, share, _, word = self.containers[0]["command"][-4:]
        mounts = {mount["mountPath"]: self.volumes[mount["name"]] for mount in self.containers[0]["volumeMounts"]}
        shared = mounts[share] / "preflight"
        lines = []
        if self.behaviour != "share refused":
            shared.write_text(word)
            lines.append(f"share {shared.read_text()}")
            shared.unlink()
        with contextlib.suppress(OSError):
            where, _, name = secret.rpartition("/")
            lines.append(f"secret {(mounts[where] / name).read_text()}")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "preflight.log").write_text("\n".join(lines) + "\n")
        self.state, self.provisioning = "Succeeded", "Succeeded"
        self.settled.set()

    def launch(self, container: dict[str, Any]) -> None:
        context = self.world.images[container["image"].rpartition("@")[2]]
        moved = self.moves(container, context)
        variables = {
            each["name"]: str(each.get("secureValue") or each.get("value") or "") for each in container.get("environmentVariables") or []
        }
        variables = {name: self.here(value, moved) for name, value in variables.items()}
        command = container.get("command") or default_command(context / "Dockerfile")
        arguments = [self.here(argument, moved) for argument in command]
        arguments[0] = {"python": sys.executable, "python3": sys.executable, "caddy": caddy()}.get(Path(arguments[0]).name, arguments[0])
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        defaults = {"HTTP_PORT": str(self.ports.get(80, 0)), "HTTPS_PORT": str(self.ports.get(443, 0)), "PYTHONPATH": str(context / "src")}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{container['name']}.log").open("ab") as log:
            self.processes[container["name"]] = subprocess.Popen(
                arguments,
                cwd=self.folder,
                env={**kept, **self.world.reach, **defaults, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def moves(self, container: dict[str, Any], context: Path) -> list[tuple[str, str]]:
        """Paths inside the container and where they lie here, longest first."""
        found = [(mount["mountPath"], str(self.volumes[mount["name"]])) for mount in container.get("volumeMounts") or []]
        joined = (context / "Dockerfile").read_text().replace("\\\n", " ")
        for line in joined.splitlines():
            words = [word for word in line.split() if not word.startswith("--")]
            if words[:1] == ["COPY"] and "--from" not in line and len(words) == 3 and words[2].startswith("/"):
                inside = words[2] + Path(words[1]).name if words[2].endswith("/") and (context / words[1]).is_file() else words[2]
                found.append((inside.rstrip("/"), str(context / words[1])))
        return sorted(found, key=lambda pair: -len(pair[0]))

    def here(self, text: str, moved: list[tuple[str, str]]) -> str:
        for inside, outside in moved:
            if text == inside or text.startswith(inside + "/"):
                return outside + text.removeprefix(inside)
        for port, free in self.ports.items():
            if text == str(port) or re.search(rf":{port}$", text):
                return re.sub(rf"{port}$", str(free), text)
        return text

    def stop(self) -> None:
        self.stopped = True
        self.state = "Stopped"
        for process in self.processes.values():
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        if self.processes and self.body["properties"].get("diagnostics"):
            for name in self.processes:
                monitor.keep_log(self.world, self.name, name, self.log_of(name).splitlines())
        self.processes.clear()
        self.ports = {}
        self.settled.set()

    def view_of(self, container: str) -> dict[str, Any]:
        if self.behaviour == "pending":
            return {"restartCount": 0, "currentState": {"state": "Waiting", "detailStatus": "Pulling"}, "events": self.events}
        process = self.processes.get(container)
        if self.is_preflight:
            over = {"state": "Terminated", "exitCode": 0, "detailStatus": "Completed"}
            return {"restartCount": 0, "currentState": over, "events": self.events}
        if self.light and not self.behaviour:
            return {"restartCount": 0, "currentState": {"state": "Running", "detailStatus": ""}, "events": self.events}
        if self.behaviour == "crash" or (process is not None and process.poll() is not None):
            code = 1 if process is None else process.returncode
            before = {"state": "Terminated", "exitCode": code, "detailStatus": "Error"}
            waiting = {"state": "Waiting", "detailStatus": "CrashLoopBackOff: Back-off restarting failed"}
            return {"restartCount": 3, "currentState": waiting, "previousState": before, "events": self.events}
        state = "Running" if process is not None else "Waiting"
        return {"restartCount": 0, "currentState": {"state": state, "detailStatus": ""}, "events": self.events}

    @property
    def keys(self) -> set[str]:
        """The keys that its service accepts."""
        return set(json.loads((self.volumes["keys"] / "keys.json").read_text()).values())

    @property
    def release(self) -> str:
        command = self.containers[0]["command"]
        return str(command[command.index("--release") + 1])

    def log_of(self, container: str) -> str:
        if self.behaviour == "crash":
            return "error: The model folder can't be used.\n"
        file = self.folder / f"{container}.log"
        return file.read_text(errors="replace") if file.is_file() else ""

    def event(self, name: str, message: str, count: int = 1) -> None:
        now = datetime.now(UTC).isoformat()
        self.events.append(
            {"name": name, "message": message, "count": count, "type": "Normal", "firstTimestamp": now, "lastTimestamp": now}
        )


def default_command(dockerfile: Path) -> list[str]:
    """ENTRYPOINT and CMD of the last stage."""
    joined = dockerfile.read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word in ("ENTRYPOINT", "CMD"):
            found[word] = json.loads(rest)
        elif word == "FROM":
            found = {}
    return [*found.get("ENTRYPOINT", []), *found.get("CMD", [])]


def caddy() -> str:
    """The Caddy of the development packages."""
    beside = Path(sys.executable).with_name("caddy")
    return str(beside) if beside.is_file() else shutil.which("caddy") or "caddy"


def listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        return True
    return False
