"""Live requests shared between two revisions by their weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from pushline.azure.containerapps.app import ContainerApp
from pushline.azure.containerapps.state import AppState
from pushline.errors import TargetError
from pushline.release.target import Endpoint
from pushline.release.traffic import RequestCounts, counts_of
from pushline.serving.client import Client


class WeightSplit:
    """Whole percents; each revision is asked under its own name what it has counted.

    With several replicas one of them answers that, so counts that fall are another replica's: the larger ones stay.
    """

    def __init__(self, app: ContainerApp, key: str) -> None:
        self.app = app
        self.key = key
        state = app.read()
        self.urls = {suffix: state.revisions[suffix].url for suffix in (state.live, state.candidate)}
        self.seen = dict.fromkeys(self.urls, RequestCounts())

    def give(self, share: float, *, mirror: float = 0.0) -> None:
        """Weights of whole percents, at least 1; `mirror` is nothing that the ingress can do."""
        percent = min(max(round(100 * share), 1), 100)

        def still(state: AppState) -> AppState:
            if (state.live, state.candidate) != tuple(self.urls):
                raise TargetError(f"The revisions of {self.app.name} have changed during the steps.", do="Look at `pushline status`.")
            return state

        self.app.write(still, what=f"giving the candidate {percent} % of the requests", share=percent)

    def counts(self) -> tuple[RequestCounts, RequestCounts]:
        live, candidate = (self._counted(suffix) for suffix in self.urls)
        if live is None:
            raise TargetError(f"The live release does not answer on {self.app.name}.", do="Look at `pushline status` and `pushline logs`.")
        if candidate is None:
            was = self.seen[list(self.urls)[1]]
            candidate = msgspec.structs.replace(was, requests=was.requests + 1, failures=was.failures + 1)
        self.seen = dict(zip(self.urls, (live, candidate), strict=True))
        return live, candidate

    def _counted(self, suffix: str) -> RequestCounts | None:
        answer = Client(self.urls[suffix]).get("/metrics", self.key)
        if answer.status != 200:
            return None
        return max(counts_of(answer.body.decode()), self.seen[suffix], key=lambda counts: counts.requests)


@contextmanager
def split(app: ContainerApp, candidate: Endpoint, key: str) -> Iterator[WeightSplit]:
    """A split that ends with its block."""
    state = app.read().checked(candidate)
    if not state.live or state.stopped or state.live == state.candidate:
        raise TargetError("There is no live release beside the candidate to share requests with.", do="Promote without steps.")
    try:
        yield WeightSplit(app, key)
    finally:
        app.write(lambda state: state, what=f"giving all requests of {app.name} to the live release")
