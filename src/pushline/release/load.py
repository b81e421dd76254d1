"""Load on a release, and the verdict on what was seen."""

import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pushline.errors import TargetError
from pushline.files import cannot_write, write_atomically
from pushline.guard import guarded, last_lines
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Breach, Release, Slice
from pushline.serving.client import is_loopback
from pushline.serving.model_folder import read_contract, read_golden
from pushline.settings import Load

DISTINCT = 500  # different payloads: more than any cache of one row would hold
LONG_ROWS = 100  # of a long request
EVERY_S = 5  # the last of so many seconds is a burst, where the SLO has bursts
STARTED_WITHIN_S = 60.0
# A locustfile is anyone's code: it gets the endpoint's key, and nothing by which the cloud could be asked.
NOT_PASSED_ON = ("LOCUST_", "LOAD_", "AZURE_", "ACTIONS_ID_TOKEN_")


class LoadResult(Struct, frozen=True, kw_only=True):
    """What clients saw in the seconds that count. Times are milliseconds."""

    offered_rps: float
    achieved_rps: float  # answers without failure
    seconds: float
    requests: int
    failures: int
    errors: dict[str, int]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    timeline: tuple[Slice, ...]


class LoadMeasurement(Struct, frozen=True):
    """What load/locustfile.py leaves: when all users ran, and each request as start (s), duration (ms), failure ('' for none)."""

    begun: tuple[float, ...]
    requests: tuple[tuple[float, float, str], ...]


def breaches(seen: LoadResult, slo: Load) -> list[Breach]:
    """The promises of the SLO that were not kept; an empty list is within it.

    A dead server answers nothing and a stalled one late, which percentiles of what was answered do not show: the share of
    failures and the achieved share of the offered rate always count, and no request at all is a failure of all. What is no
    figure, such as NaN or an infinity, is never within a limit.
    """
    failed = seen.failures / seen.requests if 0 < seen.requests < math.inf else 1.0
    achieved = seen.achieved_rps / seen.offered_rps if seen.offered_rps > 0 else 0.0
    figures = (
        ("share of failed requests", "failures", round(failed, 4), 0 <= failed <= slo.failures),
        ("achieved share of the offered rate", "achieved", round(achieved, 4), slo.achieved <= achieved < math.inf),
        ("p95 in ms", "p95_ms", seen.p95_ms, 0 <= seen.p95_ms <= slo.p95_ms),
        ("p99 in ms", "p99_ms", seen.p99_ms, 0 <= seen.p99_ms <= slo.p99_ms),
    )
    return [
        Breach(name=name, setting=setting, limit=getattr(slo, setting), seen=value) for name, setting, value, kept in figures if not kept
    ]


def summarize(seen: LoadMeasurement, *, rate: float, seconds: float) -> LoadResult:
    """The figures of the requests that began within `seconds` of the moment when all users ran."""
    zero = seen.begun[0] if seen.begun else min((start for start, _, _ in seen.requests), default=0.0)
    counted = [(start - zero, ms, failure) for start, ms, failure in seen.requests if 0 <= start - zero < seconds]
    times = sorted(ms for _, ms, failure in counted if not failure)
    errors = Counter(failure for _, _, failure in counted if failure)
    return LoadResult(
        offered_rps=rate,
        achieved_rps=round(len(times) / seconds, 3),
        seconds=seconds,
        requests=len(counted),
        failures=errors.total(),
        errors=dict(errors.most_common()),
        **percentiles(times),
        max_ms=percentile(times, 1.0),
        timeline=tuple(slices(counted, math.ceil(seconds))),
    )


def slices(counted: Sequence[tuple[float, float, str]], seconds: int) -> Iterator[Slice]:
    """One slice for each second, also for those in which nothing was asked."""
    for second in range(seconds):
        inside = [(ms, failure) for start, ms, failure in counted if second <= start < second + 1]
        times = sorted(ms for ms, failure in inside if not failure)
        yield Slice(second=second, requests=len(inside), failures=len(inside) - len(times), **percentiles(times))


def percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{share}_ms": percentile(times, share / 100) for share in (50, 95, 99)}


def percentile(times: Sequence[float], share: float) -> float:
    """The smallest time that at least `share` of the sorted times do not exceed; 0 where there is none."""
    return round(times[max(0, math.ceil(share * len(times)) - 1)], 3) if times else 0.0


def put_load(project: Project, url: str, release: Release, key: str, slo: Load, progress: Progress) -> LoadResult:
    """Run load/locustfile.py against a release for the SLO's seconds.

    Raises TargetError where Locust itself could not run; what the release answered is never an error here.
    """
    folder = project.build / "load-test"
    payloads, left, said = folder / "payloads.jsonl", folder / "requests.json", folder / "locust.log"
    write_atomically(payloads, b"\n".join(payloads_of(project, release, progress, long=slo.long)) + b"\n")
    left.unlink(missing_ok=True)
    answer_within = max(2.0, 4 * slo.p99_ms / 1000)
    command = [sys.executable, "-m", "locust", "--locustfile", str(project.root / "load" / "locustfile.py")]
    command += ["--headless", "--host", url, "--users", str(slo.users), "--spawn-rate", str(slo.users)]
    command += ["--stop-timeout", str(math.ceil(answer_within)), "--exit-code-on-error", "0", "--loglevel", "WARNING", "--only-summary"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    environment |= {
        "LOAD_PAYLOADS": str(payloads),
        "LOAD_SEEN": str(left),
        "LOAD_RATE": str(slo.rate),
        "LOAD_BURST": str(slo.burst),
        "LOAD_SECONDS": str(slo.seconds),
        "LOAD_USERS": str(slo.users),
        "LOAD_ANSWER_WITHIN": str(answer_within),
        "LOAD_KEY": key,  # in the environment, which only its owner can read; arguments are for all to see
    }
    if not is_loopback(url):
        environment["LOAD_THROUGH_PROXY"] = "1"
    progress(f"Offering {slo.rate:g} requests/s for {slo.seconds:g} s from {slo.users} clients.")
    generate(command, environment, said, within_s=STARTED_WITHIN_S + slo.seconds + answer_within)
    try:
        seen = msgspec.json.decode(left.read_bytes(), type=LoadMeasurement)
    except (OSError, msgspec.DecodeError) as error:
        raise no_load(said, "It left no list of its requests.") from error
    bursts = slo.seconds // EVERY_S
    return summarize(seen, rate=slo.rate * (1 + (slo.burst - 1) * bursts / slo.seconds), seconds=slo.seconds)


def generate(command: list[str], environment: dict[str, str], said: Path, *, within_s: float) -> None:
    """Run the load generator to its end; whatever interrupts this ends it too."""
    try:
        with said.open("wb") as output, guarded(command, env=environment, cwd=said.parent, stdout=output, stderr=output) as running:
            code = running.wait(timeout=within_s)
    except OSError as error:
        raise cannot_write(said, error) from error
    except subprocess.TimeoutExpired as error:
        raise no_load(said, f"It did not end within {within_s:g} s.") from error
    if code != 0:
        raise no_load(said, f"It ended with exit code {code}.")


def no_load(said: Path, why: str) -> TargetError:
    last = "".join(f" Its last line: {line.strip()}" for line in last_lines(said, 1))
    return TargetError("load-test stopped: Locust could not put its load on the release.", why=why + last, do=f"{said} holds what it said.")


def payloads_of(project: Project, release: Release, progress: Progress, *, long: float = 0.0) -> list[bytes]:
    """Bodies of requests: rows drawn from the profile, or the golden rows where the repository has no profile yet.

    Each holds one row, and a share of them, `long`, LONG_ROWS.
    """
    contract = read_contract(Path(release.model))
    if project.profile.is_file():
        from pushline.data.profile import load_profile
        from pushline.data.profile.sample import sample_rows

        drawn = sample_rows(load_profile(project.profile), contract, DISTINCT, random.SystemRandom().randrange(2**31))
        drawn = drawn[[column.name for column in contract.inputs]]
        rows = [{name: plain(value) for name, value in row.items()} for row in drawn.to_dict("records")]
    else:
        progress("There is no data_checks/profile.json; the golden rows are the load.")
        rows = [dict(row.row) for row in read_golden(Path(release.model))]
    bodies = [msgspec.json.encode({"data": [row]}) for row in rows]
    for number in range(round(long * len(rows))):
        bodies[number] = msgspec.json.encode({"data": [rows[(number + n) % len(rows)] for n in range(LONG_ROWS)]})
    return bodies


def plain(value: Any) -> Any:
    """A value of a frame as JSON has it: missing ones are null."""
    return None if value is None or value != value else value
