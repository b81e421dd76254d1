"""How a stage's command runs it."""

from typing import Any

from pushline.cli.context import Context, finish
from pushline.errors import GateClosed


def stage(context: Context, name: str, json: bool, **options: Any) -> None:
    """Run one stage and print its result, also where its gate said no."""
    from pushline.delivery import execute
    from pushline.results import Result

    try:
        result = execute(context.delivery, name, **options)
    except GateClosed:
        left = context.project.build / name / "result.json"
        if left.is_file():
            from pushline import results

            kinds = {kind.stage: kind for kind in Result.__subclasses__()}
            finish(results.load(context.project.build, kinds[name]), json)
        raise
    finish(result, json)
