"""What adopt tells: the difference, what it found in the table, what comes next."""

from collections.abc import Sequence
from shlex import quote

from pushline.adopt.plan import Plan, difference
from pushline.data.contract import Column
from pushline.data.contract.split import estimates
from pushline.report.figures import visible
from pushline.results import Part, Scalar

MOST_DOUBTS = 8


class Adoption(Part, frozen=True, kw_only=True):
    """What `pushline adopt` proposes or did."""

    name: str
    rows: int
    columns: int
    features: int
    classes: dict[str, int]
    positive: str | None
    set_aside: dict[str, str]  # reason by column
    deciding: dict[str, str]  # columns that give the label away, with the evidence
    suspects: dict[str, tuple[str, ...]]  # evidence by column
    repeated: float  # share of rows that repeat an earlier one
    split: str
    told: tuple[str, ...]
    rewritten: tuple[str, ...]
    settings: dict[str, Scalar]
    findings: tuple[str, ...]
    kept: tuple[str, ...]
    changes: tuple[str, ...]
    again: bool
    applied: bool


def adoption_of(plan: Plan, *, applied: bool) -> Adoption:
    contract = plan.draft.contract
    return Adoption(
        name=contract.name,
        rows=plan.draft.pinned.rows,
        columns=len(contract.columns),
        features=len(contract.features()),
        classes=plan.draft.label.counts,
        positive=contract.positive,
        set_aside={column.name: column.reason for column in contract.columns if column.role in ("identifier", "ignored")},
        deciding=plan.draft.deciding,
        suspects=plan.draft.suspects,
        repeated=plan.draft.repeated,
        split=plan.draft.split,
        told=plan.draft.told,
        rewritten=plan.draft.rewritten,
        settings=plan.record.settings,
        findings=plan.draft.findings,
        kept=plan.kept,
        changes=tuple(change.path for change in plan.changes),
        again=plan.again,
        applied=applied,
    )


def plan_lines(plan: Plan) -> list[str]:
    """What a person has to know before saying yes: what the table is, what is predicted, what is left out, what looks wrong."""
    draft, contract = plan.draft, plan.draft.contract
    features = [column.name for column in contract.features()]
    lines = [
        f"table       {plan.record.file}: {draft.pinned.rows:,} rows, {len(contract.columns)} columns; called {contract.name}",
        f"predicts    {predicted(plan)}",
        f"learns from {listed(features)}",
    ]
    aside = [f"{each.name} ({why(each)})" for each in contract.inputs if each.name not in features]
    lines += [f"leaves out  {listed(aside)}"] if aside else []
    lines += [f"WRONG?      {said}" for said in doubts(plan)]
    lines += [f"reads       {said}" for said in (*draft.told, *draft.rewritten)]
    lines += [f"keeps       {said}" for said in plan.kept]
    lines += [f"splits      {draft.split}. Figures are for {estimates(contract)}"] if draft.split else []
    lines += [f"holds out   {held_out(plan)}", f"data        {where(plan)}"]
    lines.append("in git      data_checks/profile.json: rounded counts of ten rows or more, by class, of every column that is used; no row")
    return [visible(line, 500) for line in lines]


def predicted(plan: Plan) -> str:
    label, contract = plan.draft.label, plan.draft.contract
    if contract.is_regression:
        low, high = (f"{bound:g}" if bound is not None else "any" for bound in (contract.label.minimum, contract.label.maximum))
        guess = f" (guessed: {label.guessed}; --task classification takes it as classes)" if label.guessed else ""
        return f"{contract.label.name}: a quantity{guess}, {low} to {high}"
    total = sum(label.counts.values())
    classes = ", ".join(f"{name} {count:,} ({count / total:.1%})" for name, count in label.counts.items())
    if contract.positive is None:
        return f"{contract.label.name}: {classes}"
    guess = f" (guessed: {label.guessed}; --positive names another)" if label.guessed else ""
    return f"{contract.label.name} = {contract.positive}{guess}: {classes}"


def listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {', '.join(names[:most])}{more}"


def why(column: Column) -> str:
    """Why a column is left out, in a few words; the contract has the whole reason."""
    short = (column.reason or ("known after the outcome" if column.known == "after" else column.role)).split(":")[0]
    return short[:1].lower() + short[1:]


def doubts(plan: Plan) -> list[str]:
    """What looks wrong in the table, the gravest first."""
    draft = plan.draft
    found = [f"{said} Say --known-after {quote(name)} or --keep-suspect {quote(name)}." for name, said in draft.deciding.items()]
    found += [f"{name}: {reason}" for name, reasons in draft.suspects.items() if name not in draft.deciding for reason in reasons[:1]]
    if draft.repeated > 0.01:
        found.append(f"{draft.repeated:.1%} of the rows repeat an earlier one in every column: right only if each was truly seen again")
    if len(found) > MOST_DOUBTS:
        found[MOST_DOUBTS:] = [f"{len(found) - MOST_DOUBTS} more, above their columns in data_checks/contract.yml"]
    return [*found, *(f"check-data says {finding}" for finding in draft.findings)]


def held_out(plan: Plan) -> str:
    """The hold-out, and why it is as large as it is."""
    draft = plan.draft
    why_so = f", {draft.why_held_out}" if draft.why_held_out else ""
    return f"{draft.holdout:.0%}, about {draft.held_out:,} rows{why_so}; metric {plan.record.settings['training.metric']}"


def where(plan: Plan) -> str:
    """Where the table is found again, here and in CI."""
    pinned = plan.draft.pinned
    if plan.in_git:
        return f"goes into git as data/{pinned.name}: who can read the repository can read its rows"
    if pinned.sources[0].url:
        return f"is fetched from {pinned.sources[0].url}"
    return (
        f"stays out of git: this machine keeps a copy under .pushline/; elsewhere PUSHLINE_DATA must lead to {pinned.name}, "
        "or --url to an https address (or --in-git puts it into the repository)"
    )


def change_lines(plan: Plan, *, whole: bool) -> list[str]:
    """What happens to the files: each one (`whole`), else their number, and of a contract that people have a part in what changes."""
    if whole:
        return [visible(line, 400) for change in plan.changes for line in difference(change, again=plan.again)]
    shown = [change for change in plan.changes if plan.again and change.path == "data_checks/contract.yml"]
    lines = [visible(line, 400) for change in shown for line in difference(change, again=True)]
    removed = sum(change.after is None for change in plan.changes)
    if not plan.changes:
        return lines
    gone = f", {removed} of them removed with the table that was here before" if removed else ""
    return [*lines, f"files       {len(plan.changes)} change{gone} (--diff shows each)"]


def next_lines(plan: Plan, *, applied: bool) -> list[str]:
    if not plan.changes:
        return ["", "Nothing to do: the repository is as the table says."]
    if not applied:
        return ["", f"Nothing was written. --apply writes {len(plan.changes)} files."]
    return [
        "",
        f"Wrote {len(plan.changes)} files. Next:",
        "  git diff                                   what changed; data_checks/contract.yml is worth reading",
        "  git add -A && git commit -m 'Adopt it'     a release names the commit it was made of",
        "  make run                                   the whole delivery on this table",
        "  make test                                  what holds for any table",
        "`pushline adopt --undo` takes it back.",
    ]
