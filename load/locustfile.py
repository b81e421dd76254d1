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
from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment

PAYLOADS = Path(os.environ["LOAD_PAYLOADS"]).read_bytes().splitlines()  # a request's body a line
RATE = float(os.environ.get("LOAD_RATE", "50"))  # requests/s of all users together
BURST = float(os.environ.get("LOAD_BURST", "1"))  # factor of the rate in the last of every five seconds
USERS = int(os.environ.get("LOAD_USERS", "10"))
SECONDS = float(os.environ.get("LOAD_SECONDS", "0"))  # from the moment all users run; 0: as long as --run-time says
ANSWER_WITHIN = float(os.environ.get("LOAD_ANSWER_WITHIN", "10"))  # seconds; later is a failure
SEEN = os.environ.get("LOAD_SEEN")  # where to leave every request, for the verdict
GRACE_S = 0.3  # for arrivals that are due in the last moment
HEADERS = {"content-type": "application/json", "authorization": f"Bearer {os.environ['LOAD_KEY']}"}
PROXY = urlsplit(getproxies().get("https", "")) if os.environ.get("LOAD_THROUGH_PROXY") else urlsplit("")

requests: list[tuple[float, float, str]] = []  # due in seconds of the epoch, milliseconds from then on, what failed
begun: list[float] = []


class Client(FastHttpUser):
    """Scores rows over one connection, at times that are set before: a slow answer delays no arrival.

    An arrival that finds the client waiting for an answer is asked late, and its time counts from when it was due. So a server
    that stalls for a second shows in the percentiles as what it is to a second's worth of clients, not as one slow answer.
    """

    insecure = False
    due = asked = 0.0
    network_timeout = connection_timeout = ANSWER_WITHIN
    proxy_host, proxy_port = PROXY.hostname, PROXY.port

    def on_start(self) -> None:
        self.due = time.time() + random.uniform(0, USERS / RATE)
        gevent.sleep(self.due - time.time())

    def wait_time(self) -> float:
        """Until the next arrival; none where it is due already."""
        self.due += self.pause()
        return max(0.0, self.due - time.time())

    def context(self) -> dict[str, float]:
        return {"due": self.due}

    def on_stop(self) -> None:
        """What was due and could not be asked any more failed: it still waits for the answers before."""
        while begun and SECONDS and self.due < begun[0] + SECONDS:
            if self.asked < self.due:
                requests.append((self.due, ANSWER_WITHIN * 1000, "not asked: the answers before are late"))
            self.due += self.pause()

    def pause(self) -> float:
        """From an arrival of this client to its next."""
        in_burst = begun and (self.due - begun[0]) % 5 >= 4
        return USERS / RATE / (BURST if in_burst else 1)

    @task
    def score(self) -> None:
        if begun and SECONDS and self.due >= begun[0] + SECONDS:
            return
        self.asked = self.due
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
            gevent.spawn_later(SECONDS + GRACE_S, environment.runner.quit)

    environment.events.spawning_complete.add_listener(begin)


@events.request.add_listener
def keep(
    start_time: float,
    response_time: float,
    exception: Exception | None,
    response: FastResponse | None,
    context: dict[str, float],
    **_: object,
) -> None:
    status = getattr(response, "status_code", 0)
    failed = "" if exception is None else f"status {status}" if status and status != 200 else str(exception) or type(exception).__name__
    due = context["due"]
    requests.append((due, response_time + max(0.0, start_time - due) * 1000, failed))


@events.quitting.add_listener
def leave(**_: object) -> None:
    if SEEN:
        Path(SEEN).write_text(json.dumps({"begun": begun[:1], "requests": requests}))
