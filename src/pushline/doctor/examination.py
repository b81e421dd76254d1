"""All checks, room by room. A check that fails in one of the house's own ways is a finding, never the end."""

from collections.abc import Callable, Mapping

import msgspec

from pushline.doctor import Here, Line, RoomCheck, azure, because, github, machine, repository
from pushline.errors import PushlineError

ROOMS: dict[str, tuple[RoomCheck, ...]] = {
    "machine": machine.CHECKS, "repository": repository.CHECKS, "GitHub": github.CHECKS, "Azure": azure.CHECKS,
}  # fmt: skip


PREFLIGHT: dict[str, tuple[RoomCheck, ...]] = {"Azure": azure.PREFLIGHT}


def examine(here: Here, progress: Callable[[Line], None], rooms: Mapping[str, tuple[RoomCheck, ...]] | None = None) -> list[Line]:
    """Every line, told as it is found."""
    found: list[Line] = []
    for room, checks in (ROOMS if rooms is None else rooms).items():
        for check in checks:
            try:
                for line in check(here):
                    found.append(msgspec.structs.replace(line, room=room))
                    progress(found[-1])
            except PushlineError as error:
                found.append(msgspec.structs.replace(because(check.__name__, error), room=room))
                progress(found[-1])
    return found
