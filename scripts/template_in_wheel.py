"""Puts the files of the template, which lie in this repository only once, into the engine's wheel."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TemplateInWheel(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install reads them from where they are."""
        if version == "editable":
            return
        root = Path(self.root)
        listed = runpy.run_path(str(root / "src" / "pushline" / "template" / "manifest.py"))
        build_data["force_include"][str(root / "CHANGELOG.md")] = "pushline/template/CHANGELOG.md"  # what `upgrade` tells of
        pages = [page.relative_to(root).as_posix() for page in (root / "docs").glob("*.md")]  # `pushline docs`
        for path in (*pages, *listed["SHARED"], *listed["TABLE"], *listed["LOCKS"].values()):
            build_data["force_include"][str(root / path)] = f"pushline/template/files/{path}"
