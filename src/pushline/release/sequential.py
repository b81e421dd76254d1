"""Bounds on a share that hold at every look, however often it is looked at.

Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41 (1970), mixes the
likelihood ratio of all alternatives; as the mixture sequential probability ratio test it is that of Johari, Koomen, Pekelis and Walsh,
"Always valid inference: continuous monitoring of A/B tests", Operations Research 70 (2022). With S events in n trials and a uniform mixture

    M_n(p) = integral over q of q^S (1-q)^(n-S) / (p^S (1-p)^(n-S)) = B(S + 1, n - S + 1) / (p^S (1-p)^(n-S))

is a martingale that starts at 1 where p is the true share, so by Ville's inequality it ever reaches 1/alpha with a chance of at most
alpha. The shares p for which it has not are the bounds. A trial may also bring a value between 0 and 1, such as the share of a request's
rows: M is a supermartingale then (by the inequality of means), and p the expected value.

Trials are requests, each given to one of two releases by a coin of its own, and independent given what the releases are. What the bounds
can't see: an effect of one request on a later one, and a share that moves during the look, of which they bound a mean.

>>> [round(bound, 3) for bound in bounds(4, 200, alpha=0.01)]
[0.001, 0.089]
"""

from collections.abc import Callable
from math import lgamma, log


def bounds(events: float, trials: float, *, alpha: float) -> tuple[float, float]:
    """The lowest and the highest share that `events` in `trials` leave possible; wrong at any look with a chance of at most `alpha`."""
    if trials <= 0:
        return 0.0, 1.0
    events = min(max(events, 0.0), trials)
    others, share = trials - events, events / trials
    most = lgamma(events + 1) + lgamma(others + 1) - lgamma(trials + 2) + log(alpha)

    def impossible(p: float) -> bool:
        return most > (events * log(p) if events else 0.0) + (others * log(1 - p) if others else 0.0)

    lowest = 0.0 if not events else edge(share, 0.0, impossible)
    highest = 1.0 if not others else edge(share, 1.0, impossible)
    return lowest, highest


def edge(inside: float, outside: float, impossible: Callable[[float], bool]) -> float:
    """Where shares become impossible on the way from one that is possible, by halving."""
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if impossible(middle) else (middle, outside)
    return outside


def surely_more(one: tuple[float, float], other: tuple[float, float], *, margin: float, alpha: float) -> bool:
    """Whether the share of `one`, as events and trials, is above that of `other` by more than `margin`; false alarms: at most `alpha`."""
    return bounds(*one, alpha=alpha / 2)[0] > bounds(*other, alpha=alpha / 2)[1] + margin
