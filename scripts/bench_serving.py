"""The service beside `mlflow models serve`, and beside the same scorer in uvicorn and Granian: one worker each on core 0, wrk on core 1.

The model is fixed: OrdinalEncoder and LightGBM with its defaults, saved by mlflow.sklearn on one side and exported as Pushline
exports on the other; both must give the same probabilities before anything is timed. `make bench` runs it.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
PEERS = ("granian==2.8.9", "uvicorn==0.54.0")
KEY = "bench-primary-key-0123456789"
WRK = """wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
local file = io.open("{body}"); wrk.body = file:read("*a")
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), bad))
end
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement; the best one counts, for noise only slows")
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 16, 64])
    parser.add_argument("--champion", type=Path, help="a model folder to show beside, for information")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--soak", type=int, default=0, metavar="SECONDS", help="load for so long and watch the worker's memory instead")
    parser.add_argument("--plain-server", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.plain_server:
        return plain_server(Path(said.plain_server[0]), int(said.plain_server[1]))
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"error: {tool} is missing.\nRun: sudo apt-get install -y wrk util-linux")
            return 2
    if (os.cpu_count() or 1) < 2:
        print("error: two cores are needed, one for the server and one for wrk.")
        return 2
    with tempfile.TemporaryDirectory(prefix="pushline-bench-") as folder:
        if said.soak:
            return soak(Path(folder), said.soak)
        found = bench(Path(folder), said)
        show(found)
        show_start(Path(folder))
    if said.json:
        said.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def bench(folder: Path, said: argparse.Namespace) -> list[dict[str, Any]]:
    """All servers are up at once, idle but for the one that is asked; the rounds go round them, so that noise meets all."""
    rows = make_models(folder)
    best: dict[tuple[str, int, int], dict[str, float]] = {}
    with contextlib.ExitStack() as stack:
        servers = [("pushline", stack.enter_context(ours(folder, folder / "model")) + "/score", our_body)]
        servers += [("pushline, nothing switched on", stack.enter_context(plain(folder, folder / "model")) + "/score", our_body)]
        servers += [(name, stack.enter_context(peer) + "/score", our_body) for name, peer in peers(folder, folder / "model").items()]
        servers += [("mlflow models serve", stack.enter_context(mlflow(folder)), mlflow_body)]
        for _, url, body_of in servers:
            check(url, body_of(rows, 20), folder)
        if said.champion:
            servers += [("pushline, the champion", stack.enter_context(ours(folder, said.champion)) + "/score", our_body)]
        for number in range(said.rounds):
            for name, url, body_of in servers:
                for size, connections in [*((1, connections) for connections in said.connections), (100, 16)]:
                    body = folder / f"{name}-{size}.json"
                    body.write_bytes(body_of(rows, size))
                    run = wrk(folder, url, body, connections, said.seconds)
                    best[name, size, connections] = max(best.get((name, size, connections), run), run, key=lambda one: one["rps"])
                    print(f"  round {number + 1}: {name}, {size} rows, {connections} connections: {run['rps']:,.0f}/s", file=sys.stderr)
    return [{"server": name, "rows": size, "connections": connections, **run} for (name, size, connections), run in best.items()]


def worker_megabytes(folder: Path) -> float:
    """Resident memory of the one worker of our service."""
    import psutil

    pid = next(
        entry["fields"]["pid"] for entry in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if entry["event"] == "started"
    )
    return float(psutil.Process(pid).memory_info().rss / 1e6)


def show_start(folder: Path) -> None:
    """From the start of the process to the first right answer, and what the worker holds then."""
    taken = []
    for _ in range(3):
        (folder / "log.jsonl").unlink(missing_ok=True)
        started = time.monotonic()
        with ours(folder, folder / "model", poll_s=0.005) as url:
            check(url + "/score", our_body(json.loads((folder / "rows.json").read_text()), 20), folder)
            taken.append(time.monotonic() - started)
            memory = worker_megabytes(folder)
    print(f"Cold start to the first right answer: {min(taken):.2f} s (best of 3). The worker then holds {memory:.0f} MB.")


def soak(folder: Path, seconds: int) -> int:
    """Full rate for long, with the worker's memory at ten moments."""
    rows = make_models(folder)
    body = folder / "one.json"
    body.write_bytes(our_body(rows, 1))
    with ours(folder, folder / "model") as url:
        for number in range(10):
            run = wrk(folder, url + "/score", body, 16, max(1, seconds // 10))
            print(
                f"{(number + 1) * seconds // 10:6} s  {run['rps']:10,.0f}/s  p99 {run['p99_ms']:.2f} ms  {worker_megabytes(folder):.1f} MB",
                flush=True,
            )
    return 0


def make_models(folder: Path) -> Any:
    """The fitted pipeline as mlflow saves it, and as Pushline exports it; the rows they are asked for."""
    from fixed_model import fit_fixed, save_as_folder, save_as_mlflow

    fixed = fit_fixed(REPO)
    save_as_folder(fixed, folder / "model")
    save_as_mlflow(fixed, folder / "mlflow")
    expected = fixed.pipeline.predict_proba(fixed.frame.head(20))[:, 1]
    (folder / "expected.json").write_text(json.dumps(expected.tolist()))
    rows = json.loads(fixed.frame.head(1000).to_json(orient="records", double_precision=15))
    (folder / "rows.json").write_text(json.dumps(rows))
    return rows


def our_body(rows: Any, size: int) -> bytes:
    return json.dumps({"data": rows[:size]}).encode()


def mlflow_body(rows: Any, size: int) -> bytes:
    return json.dumps({"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows[:size]]}}).encode()


def check(url: str, body: bytes, folder: Path) -> None:
    """Both sides answer what the fitted pipeline answers, or there is nothing to compare."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        content = json.load(answer)
    seen = content["probability"] if "probability" in content else [row[1] for row in content["predictions"]]
    expected = json.loads((folder / "expected.json").read_text())
    worst = max(abs(a - b) for a, b in zip(seen, expected, strict=True))
    if worst > 1e-5:
        raise SystemExit(f"{url} answers otherwise than the fitted pipeline, by {worst:g}")


def wrk(folder: Path, url: str, body: Path, connections: int, seconds: int) -> dict[str, float]:
    script = folder / "wrk.lua"
    script.write_text(WRK.format(key=KEY, body=body))
    command = ["taskset", "-c", "1", "wrk", "--timeout", "30s", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests, micros, p50, p99, bad = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())  # type: ignore[union-attr]
    if bad:
        raise SystemExit(f"{bad} of {requests} requests to {url} failed")
    return {"rps": requests / micros * 1e6, "p50_ms": p50 / 1000, "p99_ms": p99 / 1000}


@contextlib.contextmanager
def running(command: list[str], url: str, env: dict[str, str], log: Path, poll_s: float = 0.1) -> Iterator[str]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["taskset", "-c", "0", *command], env={**os.environ, **env}, stdout=said, stderr=said, start_new_session=True
        )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - loopback
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit(f"{command[0]} did not start:\n{log.read_text()[-3000:]}") from None
                time.sleep(poll_s)
        yield url.rsplit("/", 1)[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def ours(folder: Path, model: Path, poll_s: float = 0.1) -> contextlib.AbstractContextManager[str]:
    write_keys(folder)
    port = free_port()
    command = [sys.executable, "-m", "pushline", "serve", "--model", str(model), "--port", str(port), "--keys", str(folder / "keys.json")]
    command += ["--log", str(folder / "log.jsonl"), "--release", "bench", "--model-version", "1"]
    return running(command, f"http://127.0.0.1:{port}/readyz", {}, folder / "ours.txt", poll_s)


def plain(folder: Path, model: Path) -> contextlib.AbstractContextManager[str]:
    port = free_port()
    command = [sys.executable, __file__, "--plain-server", str(model), str(port)]
    return running(command, f"http://127.0.0.1:{port}/readyz", {"BENCH_KEYS": str(folder / "keys.json")}, folder / "plain.txt")


def peers(folder: Path, model: Path) -> dict[str, contextlib.AbstractContextManager[str]]:
    """The scorer alone behind other servers; they are installed for the bench only."""
    place = folder / "peers"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(place), *PEERS], check=True)
    env = {"PYTHONPATH": f"{place}:{Path(__file__).parent}", "BENCH_MODEL": str(model)}
    loop = ["--loop", "uvloop", "--workers", "1"]
    found = {}
    for name, server, *options in (
        (
            "the scorer in uvicorn, raw ASGI",
            "uvicorn",
            "bench_peers:asgi",
            "--http",
            "httptools",
            "--no-access-log",
            "--log-level",
            "warning",
        ),
        ("the scorer in Granian, RSGI", "granian", "bench_peers:rsgi", "--interface", "rsgi", "--no-ws", "--log-level", "warning"),
    ):
        port = free_port()
        command = [sys.executable, "-m", server, *options, *loop, "--port", str(port)]
        found[name] = running(command, f"http://127.0.0.1:{port}/readyz", env, folder / f"{server}.txt")
    return found


@contextlib.contextmanager
def mlflow(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with running(command, f"http://127.0.0.1:{port}/health", env, folder / "mlflow.txt") as url:
        yield url + "/invocations"


def plain_server(model: Path, port: int) -> int:
    """The same server with all that can be left out left out: no key, no request id, no metrics, no log."""
    from pushline.serving.exchange import Exchange
    from pushline.serving.keys import KeyRing
    from pushline.serving.metrics import Metrics
    from pushline.serving.serve import serve
    from pushline.settings import Serving

    KeyRing.accepts = lambda self, header: True  # type: ignore[method-assign]
    Metrics.count = Metrics.scored = lambda self, *values: None  # type: ignore[method-assign,assignment]
    Exchange.request_id = lambda self: b"0"  # type: ignore[method-assign]
    settings = Serving(port=port, access_log=0.0)
    serve(model, settings, keys=Path(os.environ["BENCH_KEYS"]), log=Path(os.devnull), progress=lambda line: None)
    return 0


def write_keys(folder: Path) -> None:
    file = folder / "keys.json"
    file.write_text(json.dumps({"primary": KEY, "secondary": KEY + "-2"}))
    file.chmod(0o600)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def show(found: list[dict[str, Any]]) -> None:
    """The table, each rate beside mlflow's in the same case, and the cost of what can be switched off."""
    base = {(run["rows"], run["connections"]): run["rps"] for run in found if run["server"].startswith("mlflow")}
    print(f"| {'server':30} | rows | connections | requests/s | p50 ms | p99 ms | times mlflow |")
    print(f"|{'-' * 32}|-----:|------------:|-----------:|-------:|-------:|-------------:|")
    for run in found:
        slowest = base[run["rows"], run["connections"]]
        ratio = run["rps"] / slowest if slowest else float("inf")
        print(
            f"| {run['server']:30} | {run['rows']:4} | {run['connections']:11} | {run['rps']:10,.0f} | {run['p50_ms']:6.2f} "
            f"| {run['p99_ms']:6.2f} | {ratio:12,.1f} |"
        )
    rates = {run["server"]: run["rps"] for run in found if (run["rows"], run["connections"]) == (1, 16)}
    if {"pushline", "pushline, nothing switched on"} <= set(rates):
        cost = 1 - rates["pushline"] / rates["pushline, nothing switched on"]
        print(f"Key check, request ids, metrics and log cost together {cost:.0%} of the rate at 16 connections.")


if __name__ == "__main__":
    sys.exit(main())
