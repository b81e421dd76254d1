"""What only a person knows of a table, asked one by one; an empty answer takes what `adopt` proposes."""

import re
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.heartbeat import hush

if TYPE_CHECKING:
    from pushline.adopt.draft import AdoptRequest, Draft
    from pushline.adopt.plan import Plan

# People may be treated unlike by such a column, so figures by its groups are worth having.
PERSONAL = re.compile(r"(?i)(^|[^a-z])(age|sex|gender|race|ethnicity|nationality|religion|civil[ _-]?status|disability|alter|geschlecht)$")


def answered(request: "AdoptRequest", plan: "Plan", *, everything: bool) -> "AdoptRequest":
    """The request with a person's answers: on columns that decide the label, and where `everything` is asked on all that is a guess."""
    from msgspec.structs import replace

    hush()
    request = on_columns(request, plan.draft.deciding)
    if not everything or plan.again:  # what was adopted before says its contract
        return request
    alone = {name: f"{name}: {reasons[0]}." for name, reasons in plan.draft.suspects.items() if reasons[0].startswith("alone it ")}
    request = on_columns(request, {name: said for name, said in alone.items() if name not in plan.draft.deciding}, default=True)
    return replace(request, **on_label(plan.draft), **on_people(plan.draft), **on_split(plan.draft))


def on_columns(request: "AdoptRequest", told: dict[str, str], *, default: bool = False) -> "AdoptRequest":
    """Whether columns that say most about the label are known before it is."""
    from msgspec.structs import replace

    for name, said in told.items():
        click.echo(said)
        before = click.confirm(f"Is {name} known before the outcome is?", default=default)
        field = "keep_suspect" if before else "known_after"
        request = replace(request, **{field: (*getattr(request, field), name)})
    return request


def on_label(draft: "Draft") -> dict[str, Any]:
    """Which of two classes is predicted, and what a miss costs."""
    contract = draft.contract
    if contract.positive is None:
        return {}
    positive = click.prompt("Which class is predicted?", type=click.Choice(contract.classes), default=contract.positive)
    asked = f"How many false alarms does it cost to miss a row that is {positive}? 0: unknown, the threshold balances both (F1)"
    cost = click.prompt(asked, type=click.FloatRange(min=0), default=0.0, show_default=False)
    return {"positive": positive, **({"objective": f"cost:{cost:g}"} if cost else {})}


def on_people(draft: "Draft") -> dict[str, Any]:
    """By which columns figures are wanted for each group."""
    names = [column.name for column in draft.contract.features()]
    guessed = ", ".join(name for name in names if PERSONAL.search(name)) or "none"

    def listed(text: str) -> tuple[str, ...]:
        said = tuple(filter(None, (name.strip() for name in text.split(",")))) if text.strip() != "none" else ()
        if unknown := sorted(set(said) - set(names)):
            raise click.BadParameter(f"{unknown[0]!r} is not learned from; those are {', '.join(names[:20])}.")
        return said

    asked = "Which columns, by comma, may tell of people who must not be treated worse (sex, age, origin)? none: no figures by group"
    return {"sensitive": click.prompt(asked, value_proc=listed, default=guessed)}


def on_split(draft: "Draft") -> dict[str, Any]:
    """What new rows will be: drawn as these were, of groups never seen, or of the time after."""
    from msgspec.structs import replace

    from pushline.adopt.split import shown, split_text
    from pushline.data.contract.split import estimates

    if not draft.tried:
        return {}
    click.echo("On which rows will the model be used?")
    for number, split in enumerate(draft.tried, 1):
        click.echo(f"  {number}  {estimates(replace(draft.contract, split=split))} (split by {shown(split)})")
    proposed = 1 + draft.tried.index(draft.contract.split)
    chosen = click.prompt("Its number", type=click.IntRange(1, len(draft.tried)), default=proposed)
    return {"split": split_text(draft.tried[chosen - 1])}
