"""Targets: where releases live. Deploy a candidate, smoke it, load it, promote it, roll back.

- `target.py`: what every target owes; `stages.py`: the stages on any of them; `history.py`: the versions and what runs of them
- `steps.py`: a promotion by steps; `traffic.py`, `sequential.py`: what was counted, and what it says
- `smoke.py`, `openapi_faults.py`, `scoring.py`: what a release must answer
- `load.py`: load and the verdict on it
- `local.py`, `state.py`, `folders.py`, `journal.py`: the local target and what it remembers
- `process.py`: its processes
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushline.project import Project
    from pushline.release.target import Target
    from pushline.settings import PushlineSettings


def open_target(project: "Project", settings: "PushlineSettings", *, tied_to: int | None = None) -> "Target":
    """The target that the settings name.

    With `tied_to` a candidate ends with that process: the one that runs all stages, so that killing it leaves none behind.
    """
    if settings.target == "aci":
        from pushline.azure.target import AciTarget

        return AciTarget(project, settings)
    if settings.target == "containerapps":
        from pushline.azure.containerapps.target import ContainerAppsTarget

        return ContainerAppsTarget(project, settings)
    from pushline.release.local import LocalTarget

    return LocalTarget(project, settings, tied_to=tied_to)
