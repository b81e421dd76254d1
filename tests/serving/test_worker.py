"""What a worker does a few times a second goes on, whatever happens in it."""

import asyncio

from pushline.serving import worker
from pushline.serving.running import Running
from pushline.settings import Serving


class Broken:
    """A service whose tick fails each time."""

    def __init__(self) -> None:
        self.faults: list[BaseException] = []
        self.swept = asyncio.Event()

    def tick(self) -> None:
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "no")

    def sweep(self) -> None:
        if len(self.faults) > 1:
            self.swept.set()

    def fault(self, error: BaseException) -> None:
        self.faults.append(error)


def test_a_tick_that_fails_ends_no_timeout() -> None:
    async def run() -> list[type[BaseException]]:
        service = Broken()
        ticking = asyncio.create_task(worker.tick(service))  # type: ignore[arg-type]
        await asyncio.wait_for(service.swept.wait(), 60)
        ticking.cancel()
        return [type(fault) for fault in service.faults]

    assert asyncio.run(run()) == [UnicodeDecodeError] * 2


def test_who_ends_has_as_long_as_a_request_may_take(tmp_path) -> None:  # type: ignore[no-untyped-def]
    def of(timeout: float) -> Running:
        return Running(model=tmp_path, release="r", version="1", keys=tmp_path, log=None, settings=Serving(timeout=timeout))

    assert of(60).drain_s > 60
    assert of(1).drain_s > 1
