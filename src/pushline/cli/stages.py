"""How a stage's command runs it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pushline.cli.context import Context, finish
from pushline.errors import GateClosed

if TYPE_CHECKING:
    from pushline.delivery import Delivery

Show = Callable[[Any, bool], None]


def stage(context: Context, name: str, json: bool, *, show: Show = finish, delivery: "Delivery | None" = None, **options: Any) -> None:
    """Run one stage alone, print its result (also where its gate said no) and leave it to GitHub Actions where that runs it."""
    with context.alone("command" if delivery is None else "other"):
        run_stage(delivery or context.delivery, name, json, show, **options)


def run_stage(delivery: "Delivery", name: str, json: bool, show: Show, **options: Any) -> None:
    from pushline.execution import execute
    from pushline.github import actions

    summary = delivery.build / name / "summary.md"
    try:
        result = execute(delivery, name, **options)
    except GateClosed:
        left = left_by(delivery, name)
        actions.leave(left, summary)
        if left is not None:
            show(left, json)
        raise
    except BaseException:
        actions.leave(None, summary)
        raise
    actions.leave(result, summary)
    show(result, json)


def left_by(delivery: "Delivery", name: str) -> Any:
    """The result a stage left although its gate said no; None where it left none."""
    from pushline import results

    if not (delivery.build / name / "result.json").is_file():
        return None
    return results.load(delivery.build, results.KINDS[name])
