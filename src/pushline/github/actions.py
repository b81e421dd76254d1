"""What a job leaves for people and for later jobs: the job summary and the step's outputs."""

import os
from pathlib import Path

from pushline.results import PromoteResult, RegisterResult, Result, TrainResult

REHEARSAL = (
    "This is a rehearsal: on a runner of GitHub's the release ends with its job. `runner` in `[tool.pushline]` names one of your own, "
    "which keeps it, and `pushline docs connect-azure` says how Azure does."
)


def inside() -> bool:
    """True in a job of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def hosted() -> bool:
    """True on a machine of GitHub's, which ends with its job and takes what ran on it along."""
    return inside() and os.environ.get("RUNNER_ENVIRONMENT") == "github-hosted"


def summarise(markdown: str) -> None:
    """Append to the job summary; outside Actions nothing happens."""
    append("GITHUB_STEP_SUMMARY", markdown.rstrip() + "\n\n")


def output(name: str, value: str) -> None:
    """Set an output of the step; outside Actions nothing happens."""
    append("GITHUB_OUTPUT", f"{name}={value}\n")


def leave(result: Result | None, summary: Path) -> None:
    """The summary of a stage, and what the workflow needs to know of its result."""
    if summary.is_file():
        summarise(summary.read_text(encoding="utf-8"))
    if isinstance(result, RegisterResult):
        output("accepted", str(result.decision.accept).lower())
        output("version", result.version)
    if isinstance(result, PromoteResult) and result.target == "local" and hosted():
        summarise(f"> [!NOTE]\n> {REHEARSAL}")
    if isinstance(result, TrainResult):
        output("manifest", f"sha256:{result.manifest}")


def escaped(message: str) -> str:
    """A message as a workflow command takes it: on one line."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def append(variable: str, text: str) -> None:
    if file := os.environ.get(variable):
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)
