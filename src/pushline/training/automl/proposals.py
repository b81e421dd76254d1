"""What to try next: the portfolio in its order, then neighbours of the best by FLAML's CFO, most often of the best algorithm.

CFO (a randomised direct search that starts from a good point) is used through its ask-and-tell interface, so trials run
where and how we want, and the same scores always lead to the same proposals.
"""

from collections.abc import Sequence
from typing import Any

from pushline.training.automl.algorithms import Algorithm, Candidate, Range, Value, within

# Which algorithm, by rank of its best score, gets the next proposals: the best half of them, the others still their chance.
TURNS = (0, 0, 1, 0, 2, 0, 1, 3)
ATTEMPTS = 20


class Proposals:
    """Asks for candidates with `next`, learns their scores with `learn`."""

    def __init__(self, algorithms: Sequence[Algorithm], seed: int) -> None:
        self.algorithms = {algorithm.name: algorithm for algorithm in algorithms}
        self.seed = seed
        self.first = portfolio(algorithms)
        self.best: dict[str, tuple[float, dict[str, Any]]] = {}
        self.searchers: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self.open: dict[str, str] = {}  # the searcher's id of each proposal by the candidate's name
        self.turn = 0

    @property
    def exploring(self) -> bool:
        """Whether the portfolio is through."""
        return not self.first

    def next(self, count: int) -> list[Candidate]:
        """Up to `count` candidates; fewer where nothing is left to propose."""
        if self.first:
            taken, self.first = self.first[:count], self.first[count:]
            return taken
        return [candidate for candidate in (self.propose() for _ in range(count)) if candidate is not None]

    def learn(self, scores: Sequence[tuple[Candidate, float | None]]) -> None:
        """Take the scores of candidates; None for one that failed."""
        for candidate, value in scores:
            reward = -1e9 if value is None else value
            if value is not None and (candidate.algorithm not in self.best or value > self.best[candidate.algorithm][0]):
                self.best[candidate.algorithm] = (value, candidate.parameters)
            if candidate.name in self.open:
                answer = {"score": reward, "cost": 1.0, "config": candidate.parameters, "training_iteration": 1, "time_total_s": 1.0}
                self.searchers[candidate.algorithm].on_trial_complete(self.open.pop(candidate.name), answer)

    def propose(self) -> Candidate | None:
        """A neighbour of the best, or of the best of another algorithm; None where no algorithm has any left."""
        ranking = sorted(self.best, key=lambda name: -self.best[name][0])
        if not ranking:
            return None
        first = TURNS[self.turn % len(TURNS)] % len(ranking)
        self.turn += 1
        for name in (*ranking[first:], *ranking[:first]):
            candidate = self.neighbour(name)
            if candidate is not None:
                return candidate
        return None

    def neighbour(self, name: str) -> Candidate | None:
        """What CFO proposes next for an algorithm; it answers nothing where it comes upon a point it knows."""
        algorithm = self.algorithms[name]
        if name not in self.searchers:
            self.searchers[name] = searcher(algorithm, self.best[name], self.seed)
        for _ in range(ATTEMPTS):
            self.counts[name] = self.counts.get(name, 0) + 1
            identity = f"{name}-{self.counts[name]}"
            parameters = self.searchers[name].suggest(identity)
            if parameters is None:
                continue
            self.made[name] = self.made.get(name, len(algorithm.portfolio)) + 1
            fixed = {key: value for key, value in self.best[name][1].items() if key not in algorithm.space}  # what is not searched
            candidate = Candidate(
                name=f"{name} {self.made[name]}",
                algorithm=name,
                builder=algorithm.builder,
                parameters=within({**fixed, **typed(parameters, algorithm)}, algorithm.classes),
            )
            self.open[candidate.name] = identity
            return candidate
        return None


def typed(parameters: dict[str, Any], algorithm: Algorithm) -> dict[str, Value]:
    """A proposal as plain numbers."""
    return {key: int(value) if isinstance(algorithm.space[key].low, int) else float(value) for key, value in parameters.items()}


def portfolio(algorithms: Sequence[Algorithm]) -> list[Candidate]:
    """The known good configurations of every algorithm, in the order of the algorithms."""
    return [
        Candidate(name=f"{algorithm.name} {place + 1}", algorithm=algorithm.name, builder=algorithm.builder, parameters=parameters)
        for algorithm in algorithms
        for place, parameters in enumerate(algorithm.portfolio)
    ]


def searcher(algorithm: Algorithm, start: tuple[float, dict[str, Any]], seed: int) -> Any:
    """FLAML's CFO over the algorithm's space, beginning at the best point known and its score."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from flaml.tune.searcher.blendsearch import CFO

    point = {
        name: min(max(start[1][name], span.low), span.high) for name, span in algorithm.space.items()
    }  # many classes have fewer rounds
    made = CFO(
        metric="score",
        mode="max",
        space={name: domain(span) for name, span in algorithm.space.items()},
        points_to_evaluate=[point],
        evaluated_rewards=[start[0]],
        cost_attr="cost",
        seed=seed,
    )
    made.set_search_properties(setting={"time_budget_s": float("inf"), "num_samples": 1_000_000})
    return made


def domain(span: Range) -> Any:
    from flaml import tune

    if isinstance(span.low, int):
        return tune.lograndint(span.low, span.high + 1) if span.log else tune.randint(span.low, span.high + 1)
    return tune.loguniform(span.low, span.high) if span.log else tune.uniform(span.low, span.high)
