"""The load: what clients ask of a release, and how often. `pushline load-test` runs it and holds what it saw to the SLO.

It runs alone as well, on Azure Load Testing for example:
    LOAD_PAYLOADS=payloads.jsonl LOAD_KEY=... LOAD_RATE=50 locust -f locustfile.py --headless -u 10 -t 30s -H https://...
"""

import json
import os
import random
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import gevent
from locust import FastHttpUser, constant_throughput, events, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment

PAYLOADS = Path(os.environ["LOAD_PAYLOADS"]).read_bytes().splitlines()  # a request's body a line
RATE = float(os.environ.get("LOAD_RATE", "50"))  # requests/s of all users together
USERS = int(os.environ.get("LOAD_USERS", "10"))
SECONDS = float(os.environ.get("LOAD_SECONDS", "0"))  # from the moment all users run; 0: as long as --run-time says
ANSWER_WITHIN = float(os.environ.get("LOAD_ANSWER_WITHIN", "10"))  # seconds; later is a failure
SEEN = os.environ.get("LOAD_SEEN")  # where to leave every request, for the verdict
HEADERS = {"content-type": "application/json", "authorization": f"Bearer {os.environ['LOAD_KEY']}"}
PROXY = urlsplit(getproxies().get("https", "")) if os.environ.get("LOAD_THROUGH_PROXY") else urlsplit("")

requests: list[tuple[float, float, str]] = []  # start in seconds of the epoch, milliseconds, what failed
begun: list[float] = []


class Client(FastHttpUser):
    """Scores rows at a steady rate over one connection."""

    wait_time = constant_throughput(RATE / USERS)
    insecure = False
    network_timeout = connection_timeout = ANSWER_WITHIN
    proxy_host, proxy_port = PROXY.hostname, PROXY.port

    def on_start(self) -> None:
        gevent.sleep(random.uniform(0, USERS / RATE))

    @task
    def score(self) -> None:
        with self.client.post("/score", data=random.choice(PAYLOADS), headers=HEADERS, catch_response=True) as answer:
            if answer.status_code == 200 and not scored(answer):
                answer.failure("not a score")


def scored(answer: FastResponse) -> bool:
    try:
        return len(json.loads(answer.content)["result"]) > 0
    except (ValueError, KeyError, TypeError):
        return False


@events.test_start.add_listener
def prepare(environment: Environment, **_: object) -> None:
    def begin(**_: object) -> None:
        begun.append(time.time())
        if SECONDS:
            gevent.spawn_later(SECONDS, environment.runner.quit)

    environment.events.spawning_complete.add_listener(begin)


@events.request.add_listener
def keep(start_time: float, response_time: float, exception: Exception | None, response: FastResponse | None, **_: object) -> None:
    status = getattr(response, "status_code", 0)
    failed = "" if exception is None else f"status {status}" if status and status != 200 else str(exception) or type(exception).__name__
    requests.append((start_time, response_time, failed))


@events.quitting.add_listener
def leave(**_: object) -> None:
    if SEEN:
        Path(SEEN).write_text(json.dumps({"begun": begun[:1], "requests": requests}))
