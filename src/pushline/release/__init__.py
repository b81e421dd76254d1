"""Targets: where releases live. Deploy a candidate, smoke it, load it, promote it, roll back."""

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
    from pushline.release.local import LocalTarget

    return LocalTarget(project, settings, tied_to=tied_to)
