"""What adopt tells: the difference, what it found in the table, what comes next."""

from pushline.adopt.plan import Plan, difference
from pushline.report.figures import visible
from pushline.results import Part, Scalar


class Adoption(Part, frozen=True, kw_only=True):
    """What `pushline adopt` proposes or did."""

    name: str
    rows: int
    columns: int
    features: int
    classes: dict[str, int]
    positive: str | None
    set_aside: dict[str, str]  # reason by column
    suspects: dict[str, tuple[str, ...]]  # evidence by column
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
        suspects=plan.draft.suspects,
        rewritten=plan.draft.rewritten,
        settings=plan.record.settings,
        findings=plan.draft.findings,
        kept=plan.kept,
        changes=tuple(change.path for change in plan.changes),
        again=plan.again,
        applied=applied,
    )


def difference_lines(plan: Plan) -> list[str]:
    return [visible(line, 400) for change in plan.changes for line in difference(change, again=plan.again)]


def plan_lines(plan: Plan) -> list[str]:
    """What a person has to know before saying yes."""
    draft, contract = plan.draft, plan.draft.contract
    classes = ", ".join(f"{name} {count:,}" for name, count in draft.label.counts.items())
    lines = [f"{contract.name}: {draft.pinned.rows:,} rows, {len(contract.columns)} columns, {len(contract.features())} of them features"]
    lines.append(f"label {contract.label.name}: {classes}")
    if contract.positive is not None:
        lines.append(
            f"positive: {contract.positive}"
            + (f" (guessed: {draft.label.guessed}; --positive names another)" if draft.label.guessed else "")
        )
    lines += [
        f"set aside {column.name}: {column.reason}"
        for column in contract.columns
        if column.role in ("identifier", "ignored") and column.reason
    ]
    lines += [f"suspect {name}: {reason}" for name, reasons in draft.suspects.items() for reason in reasons]
    lines += [f"rewritten: {what}" for what in draft.rewritten]
    lines += [f"check-data would say {finding}" for finding in draft.findings]
    lines += [f"kept: {what}" for what in plan.kept]
    why = f" ({draft.why_held_out})" if draft.why_held_out else ""
    lines.append(f"held out: {draft.holdout:.0%}, {draft.held_out:,} rows{why}; metric {plan.record.settings['training.metric']}")
    lines.append(where(plan))
    return [visible(line, 400) for line in lines]


def where(plan: Plan) -> str:
    """Where the table is found again, here and in CI."""
    pinned = plan.draft.pinned
    if plan.in_git:
        return f"the table goes into the repository as data/{pinned.name}: who can read the repository can read its rows (else --keep-out)"
    if pinned.sources[0].url:
        return f"the table is fetched from {pinned.sources[0].url}"
    return (
        f"the table stays outside the repository: this machine keeps a copy under .pushline/, elsewhere PUSHLINE_DATA must lead to "
        f"{pinned.name}, or `url` in data.lock to an https address"
    )


def next_lines(plan: Plan, *, applied: bool) -> list[str]:
    if not plan.changes:
        return ["", "Nothing to do: the repository is as the table says."]
    if not applied:
        return ["", f"Nothing was written. --apply writes {len(plan.changes)} files."]
    return [
        "",
        f"Wrote {len(plan.changes)} files. Next:",
        "  git diff                         what changed; data_checks/contract.yml is worth reading",
        "  make run                         the whole delivery on this table",
        "  make test                        what holds for any table",
        "  git add -A && git commit         adopt it",
    ]
