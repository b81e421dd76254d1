"""The table of workflows in docs/workflows.md, made from the files: what starts each, what runs, what it may touch."""

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RERUN = {
    "checks.yml": "Re-run the failed jobs, or push again: the older run is cancelled",
    "deliver.yml": "Run workflow: choose the first stage in `from`, the earlier run in `run`, or with `from: deploy` a model `version`",
    "publish.yml": "Run workflow again: a version is published once, an unchanged one is not published anew",
    "release.yml": "Re-run it: the same commit gives the same wheel",
    "retrain.yml": "Run workflow; `now` delivers what main pins today",
    "rollback.yml": "Run workflow: each run goes back one release",
    "score-batch.yml": "Run workflow with the same input; the scores are the artifact `scores` of its run",
    "upgrade.yml": "Run workflow, with a version in `to` if it is not to be the newest; a pull request that is open stays as it is",
    "watch.yml": "Run workflow: there is never more than one open issue for each cause",
}


def triggers(on: dict[str, Any]) -> str:
    told = []
    for name, how in on.items():
        if name == "push":
            told.append("push to " + ", ".join([*how.get("branches", ()), *(f"tags `{tag}`" for tag in how.get("tags", ()))]))
        elif name == "schedule":
            told.append("schedule " + ", ".join(f"`{entry['cron']}`" for entry in how))
        elif name == "repository_dispatch":
            told.append("repository_dispatch " + ", ".join(f"`{kind}`" for kind in how["types"]))
        else:
            told.append(name)
    return "; ".join(told)


def jobs(workflow: dict[str, Any]) -> str:
    told = []
    for name, body in workflow["jobs"].items():
        environment = str(body.get("environment", ""))
        place = "production" if environment == "production" else "training on Azure" if "training" in environment else ""
        told.append(name + (f" ({place})" if place else ""))
    return ", ".join(told)


def rights(workflow: dict[str, Any]) -> str:
    writes = {
        f"{right} ({name})" for name, body in workflow["jobs"].items() for right, level in body["permissions"].items() if level == "write"
    }
    return ", ".join(sorted(writes)) or "nothing: it only reads"


def table() -> str:
    lines = ["| workflow | started by | jobs | may write | run it again |", "|---|---|---|---|---|"]
    for file in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
        cells = [f"`{file.name}`", triggers(workflow[True]), jobs(workflow), rights(workflow), RERUN[file.name]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
