"""A promotion by steps: the candidate answers a growing share of the live requests, and is held against the live release meanwhile."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial

from pushline.errors import CandidateWorse
from pushline.progress import Progress
from pushline.release.sequential import bounds, surely_more
from pushline.release.target import Endpoint, Target, TrafficSplit
from pushline.release.traffic import RequestCounts
from pushline.results import PromotionStep
from pushline.settings import Load, PromotionSteps, ReplayLimits

CauseOf = Callable[[RequestCounts, RequestCounts], str]
LOOK_S = 0.5
NOTICE_S = 1.0  # without a request for so long, nobody is there to judge by
ALPHA = 0.01  # that an honest candidate is stopped, in a whole promotion
TYPICAL = 0.25  # share of requests that may take longer by the factor `slower`
RARE = 0.01  # share of requests that may be slower than the SLO's p99, beyond the live release's


def climb(
    target: Target, candidate: Endpoint, rules: PromotionSteps, slo: Load, limits: ReplayLimits, progress: Progress
) -> tuple[PromotionStep, ...]:
    """Let the candidate take live requests step by step; what each saw, none where there is nothing to share or to judge by.

    Raises CandidateWorse where it surely does worse than the live release: that one has all requests again then.
    """
    live, shares = target.status().live, [share / 100 for share in rules.steps if 0 < share < 100]
    if "split" not in target.can or not shares or live is None or not live.ready or live.release.id == candidate.release.id:
        return ()
    done = []
    with target.split(candidate, progress) as split:
        if not noticed(split):
            progress(f"No request reached {live.release.id} within {NOTICE_S:g} s, so the switch goes without steps.")
            return ()
        mirror = rules.mirror if "mirror" in target.can else 0.0
        alpha = ALPHA / len(shares)
        for share in shares:
            progress(f"{candidate.release.id} answers {share:.0%} of the live requests.")
            judge = partial(worse, slo=slo, limits=limits, rules=rules, alpha=alpha)
            step = taken(split, share, mirror, rules, judge)
            if step.cause:
                raise stopped(candidate, live, step)
            if step.requests < rules.requests:
                progress(
                    f"Only {step.requests} of {rules.requests} requests came in {step.seconds:.0f} s; that much is known of this step."
                )
            done.append(step)
    return tuple(done)


def noticed(split: TrafficSplit) -> bool:
    before, until = split.counts()[0].requests, time.monotonic() + NOTICE_S
    while time.monotonic() < until:
        if split.counts()[0].requests > before:
            return True
        time.sleep(LOOK_S / 5)
    return False


def taken(split: TrafficSplit, share: float, mirror: float, rules: PromotionSteps, judge: CauseOf) -> PromotionStep:
    """One step: to its requests and seconds, or to the first look at which the candidate is surely worse."""
    split.give(share, mirror=mirror)
    start, began = split.counts(), time.monotonic()
    while True:
        time.sleep(LOOK_S)
        live, candidate = (now.since(then) for now, then in zip(split.counts(), start, strict=True))
        cause, seconds = judge(live, candidate), time.monotonic() - began
        enough = candidate.requests >= rules.requests and seconds >= rules.seconds
        if cause or enough or seconds >= rules.wait:
            return PromotionStep(
                share=share,
                seconds=seconds,
                requests=candidate.requests,
                live_requests=live.requests,
                failures=candidate.failures,
                compared=candidate.compared,
                flipped=candidate.flipped,
                cause=cause,
            )


def worse(live: RequestCounts, candidate: RequestCounts, *, slo: Load, limits: ReplayLimits, rules: PromotionSteps, alpha: float) -> str:
    """Why the candidate is surely worse than the live release was meanwhile; empty where it is not. `alpha`: chance of a false alarm."""
    alpha /= 4
    causes = (
        failing(live, candidate, slo, alpha),
        slowing(live, candidate, slo, rules.slower, alpha),
        answering(live, candidate, limits, alpha),
        flipping(candidate, limits, alpha),
        growing(live, candidate, rules.memory_mb),
    )
    return "; ".join(cause for cause in causes if cause)


def failing(live: RequestCounts, candidate: RequestCounts, slo: Load, alpha: float) -> str:
    """Of all failures, the candidate has a larger share than of the requests.

    Where both fail equally often, each failure is the candidate's with the chance that a request is: Lindon and Malek, "Anytime-valid
    inference for multinomial count data", NeurIPS 2022. So two failures in the first percent say much.
    """
    together, asked = live.failures + candidate.failures, live.requests + candidate.requests
    if asked and bounds(candidate.failures, together, alpha=alpha)[0] > candidate.requests / asked:
        failed = candidate.failures / candidate.requests
        if failed > slo.failures:
            of_live = live.failures / max(1, live.requests)
            return f"{failed:.2%} of its requests failed, and {of_live:.2%} of the live release's"
    return ""


def slowing(live: RequestCounts, candidate: RequestCounts, slo: Load, slower: float, alpha: float) -> str:
    """It takes longer than the live release by a factor, or more of its answers are slower than the SLO's p99."""
    every = sorted(live.times.keys() & candidate.times.keys())
    if not every:
        return ""
    alpha /= 2 * len(every)
    promised = next(each for each in every if each * 1000 >= slo.p99_ms)
    if surely_more(beyond(candidate, promised), beyond(live, promised), margin=RARE, alpha=alpha):
        return f"more than {RARE:.0%} of its answers are slower than the {slo.p99_ms:g} ms that p99 promises"
    for bound in every[:-1]:
        longer = next(each for each in every if each >= bound * slower)
        slow, usual = beyond(candidate, longer), beyond(live, bound)
        if longer < math.inf and surely_more(slow, usual, margin=TYPICAL, alpha=alpha):
            return (
                f"{slow[0] / slow[1]:.0%} of its answers took more than {longer * 1000:g} ms, "
                f"and {usual[0] / usual[1]:.0%} of the live release's more than {bound * 1000:g} ms"
            )
    return ""


def beyond(counts: RequestCounts, bound: float) -> tuple[float, float]:
    """Requests that took longer than `bound` seconds, of all."""
    return counts.times[math.inf] - counts.times[bound], counts.times[math.inf]


def answering(live: RequestCounts, candidate: RequestCounts, limits: ReplayLimits, alpha: float) -> str:
    """A class is answered more or less often by the odds of replay's limit, or the scores lie otherwise by its distance."""
    shared = list(shares_of(live, candidate))
    alpha /= max(1, 4 * len(shared))  # two sides, each with bounds on two shares
    for name, before, after in shared:
        (low, high), (lower, higher) = bounds(*before, alpha=alpha), bounds(*after, alpha=alpha)
        moved = f"{before[0] / max(1, before[1]):.1%} to {after[0] / max(1, after[1]):.1%}"
        if name and max(odds(lower) / odds(high), odds(low) / odds(higher)) > limits.odds:
            return f"the share of {name} went from {moved} (limit: odds by {limits.odds:g})"
        if not name and max(lower - high, low - higher) > limits.distance:
            return f"its scores are distributed otherwise: a share of them went from {moved} (limit {limits.distance:.0%})"
    return ""


def shares_of(live: RequestCounts, candidate: RequestCounts) -> Iterator[tuple[str, tuple[float, float], tuple[float, float]]]:
    """Each class, and without a name each bin of scores, as events and trials of both.

    A trial is a request: the rows of one belong together, so a request counts with the mean share of its rows.
    """

    def of(counts: RequestCounts, rows: int) -> tuple[float, float]:
        answered = counts.requests - counts.failures
        return rows / max(1, counts.rows) * answered, answered

    for name, rows in sorted(live.answers.items(), key=lambda answer: answer[1]):
        yield name, of(live, rows), of(candidate, candidate.answers.get(name, 0))
    for bound, rows in live.scores.items():
        if bound < math.inf:
            yield "", of(live, rows), of(candidate, candidate.scores.get(bound, 0))


def odds(share: float) -> float:
    return max(share, 1e-9) / max(1 - share, 1e-9)


def flipping(candidate: RequestCounts, limits: ReplayLimits, alpha: float) -> str:
    """To copies of the same requests it answers clearly otherwise, more often than replay's limit allows."""
    if bounds(candidate.flipped, candidate.compared, alpha=alpha)[0] > limits.flips:
        return f"{candidate.flipped / candidate.compared:.1%} of its answers to the same rows clearly differ (limit {limits.flips:.0%})"
    return ""


def growing(live: RequestCounts, candidate: RequestCounts, memory_mb: int) -> str:
    """It takes more and more memory. A leak of a few bytes a request is not seen in the time of a step."""
    grown = (candidate.memory - live.memory) / 1e6
    return f"it grew by {grown:.0f} MB more than the live release (limit {memory_mb} MB)" if grown > memory_mb else ""


def stopped(candidate: Endpoint, live: Endpoint, step: PromotionStep) -> CandidateWorse:
    return CandidateWorse(
        f"promote stopped at {step.share:.0%} of the live requests, after {step.requests} requests and {step.seconds:.0f} s.",
        why=f"{candidate.release.id}: {step.cause}.",
        do=f"{live.release.id} answers all requests again, as before. `pushline discard` removes the candidate.",
    )
