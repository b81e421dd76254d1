"""How a stage's command runs it."""

from collections.abc import Callable
from typing import Any

from pushline.cli.context import Context, finish
from pushline.errors import GateClosed

Show = Callable[[Any, bool], None]


def stage(context: Context, name: str, json: bool, *, show: Show = finish, **options: Any) -> None:
    """Run one stage, print its result (also where its gate said no) and leave it to GitHub Actions where that runs it."""
    from pushline.delivery import execute
    from pushline.github import actions

    summary = context.project.build / name / "summary.md"
    try:
        result = execute(context.delivery, name, **options)
    except GateClosed:
        left = left_by(context, name)
        actions.leave(left, summary)
        if left is not None:
            show(left, json)
        raise
    except BaseException:
        actions.leave(None, summary)
        raise
    actions.leave(result, summary)
    show(result, json)


def left_by(context: Context, name: str) -> Any:
    """The result a stage left although its gate said no; None where it left none."""
    from pushline import results

    kinds = {kind.stage: kind for kind in results.Result.__subclasses__()}
    if not (context.project.build / name / "result.json").is_file():
        return None
    return results.load(context.project.build, kinds[name])
