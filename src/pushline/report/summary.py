"""A result as lines for a terminal and as Markdown for a job summary."""

from typing import Any

import msgspec

from pushline.results import Failure, Result


def lines_of(result: Any) -> list[str]:
    """A human line per fact."""
    return [f"{name}: {value}" for name, value in msgspec.to_builtins(result).items()]


def summary_of(result: Result) -> str:
    """The Markdown of `build/<stage>/summary.md`."""
    return f"## {type(result).stage}\n\n" + "\n".join(f"- {line}" for line in lines_of(result)) + "\n"


def summary_of_failure(failure: Failure) -> str:
    """The Markdown of a stage that left no result."""
    return f"## {failure.stage}: {'interrupted' if failure.interrupted else 'failed'}\n\n{failure.what}\n\n{failure.why}\n\n{failure.do}\n"
