"""A result as Markdown for a job summary, and from that as lines for a terminal (`report.terminal`)."""

from collections import Counter
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING

from pushline.errors import PushlineError
from pushline.evaluation import Evaluation, load_evaluation
from pushline.report import figures, markdown
from pushline.report.figures import (
    LOWER_IS_BETTER,
    counted,
    decimal,
    duration,
    milliseconds,
    named,
    per_second,
    promised,
    share_of,
    visible,
)
from pushline.report.markdown import code, fold, table, text
from pushline.report.terminal import lines_of_markdown
from pushline.results import (
    VOTE,
    Assertion,
    CheckDataResult,
    DeployResult,
    Failure,
    FetchResult,
    Finding,
    LoadTestResult,
    PromoteResult,
    RegisterResult,
    Replay,
    Result,
    SmokeResult,
    TrainResult,
)

if TYPE_CHECKING:
    from pushline.report.cautions import Caution
    from pushline.report.states import StageState

SAMPLE_NOTE = "> [!WARNING]\n> **Generated sample: these rows were drawn from the profile, nothing here says anything about real data.**"
REPLAYED_GROUPS = 3  # that moved most


def summary_of(result: Result) -> str:
    """The Markdown of `build/<stage>/summary.md`."""
    notes = [SAMPLE_NOTE] if getattr(result, "generated_sample", False) else []
    parts = [f"## {type(result).stage}", *notes, *warning_notes(getattr(result, "warnings", ())), *body_of(result)]
    foot = f"<sub>{duration(result.elapsed_s)}, {figures.moment(result.made_at)}, Pushline {text(result.pushline)}</sub>"
    return "\n\n".join([*parts, foot]) + "\n"


def lines_of(result: Result) -> list[str]:
    """The same for a terminal."""
    return lines_of_markdown(summary_of(result))


def summary_of_failure(failure: Failure) -> str:
    """The Markdown of a stage that left no result."""
    became = "interrupted" if failure.interrupted else "failed"
    told = [text(part, 2000) for part in (failure.why, failure.do) if part]
    box = "\n".join(f"> {line}" for line in ["[!CAUTION]", f"**{text(failure.what, 2000)}**", *(f"<br>{line}" for line in told)])
    return f"## {failure.stage}: {became}\n\n{box}\n\n<sub>after {duration(failure.elapsed_s)}, {figures.moment(failure.at)}</sub>\n"


def cautions_box(cautions: "tuple[Caution, ...]") -> list[str]:
    """What to look at before trusting it, as GitHub shows a warning; nothing where there is nothing."""
    return ["\n".join(["> [!WARNING]", *(f"> **{text(one.what, 600)}** {text(one.do, 600)}<br>" for one in cautions)])] if cautions else []


def summary_of_run(states: "tuple[StageState, ...]", cautions: "tuple[Caution, ...]" = ()) -> str:
    """The Markdown of a whole run: the flow with the state of each stage, the figure of each, and why it ended."""
    generated = any(getattr(state.result, "generated_sample", False) for state in states)
    rows = [[code(s.name), s.state, duration(s.elapsed_s) if s.elapsed_s is not None else "", text(s.figure)] for s in states]
    parts = [
        "## run",
        *([SAMPLE_NOTE] if generated else []),
        *cautions_box(cautions),
        markdown.flow([(s.name, s.state, s.words) for s in states]),
    ]
    parts.append(table(["stage", "state", "time", ""], rows, figures=[2]))
    parts += [summary_of_failure(state.failure) for state in states if state.failure]
    return "\n\n".join(parts) + "\n"


@singledispatch
def body_of(result: Result) -> list[str]:
    """The parts of a summary, without its heading."""
    raise TypeError(f"{type(result).__name__} is not a stage's result")


@body_of.register
def _(result: FetchResult) -> list[str]:
    rows = [[text(f.name), figures.count(f.rows), text(f.origin), code(figures.short(f.sha256))] for f in result.files]
    lead = (
        f"Data version {code(figures.short(result.data_version))}: **{counted(result.rows, 'row')}**, {counted(result.columns, 'column')}."
    )
    return [lead, table(["file", "rows", "from", "sha256"], rows, figures=[1])]


@body_of.register
def _(result: CheckDataResult) -> list[str]:
    size = f"{text(Path(result.file).name)}: {counted(result.rows, 'row')}, {counted(result.columns, 'column')}."
    if result.findings:
        lead = f"**{result.critical} critical, {counted(result.warning, 'warning')}, {result.info} info** in {size}"
    else:
        lead = f"**No findings** in {size}"
    parts = [lead, *([findings_table(result.findings)] if result.findings else [])]
    if result.class_counts:
        parts.append(balance(result.class_counts))
    return parts


def findings_table(findings: tuple[Finding, ...]) -> str:
    """Findings, worst and most basic first."""
    rows = [
        [
            f"**{f.severity}**" if f.severity == "critical" else f.severity,
            text(f.id),
            code(f.column) if f.column else "",
            text(f.message),
            text(f.seen),
            text(f.expected),
            figures.count(f.count) if f.count else "",
            figures.numbers(f.lines),
        ]
        for f in findings
    ]
    return table(["severity", "check", "column", "finding", "seen", "expected", "rows", "lines"], rows, figures=[6])


def balance(counts: dict[str, int]) -> str:
    """How the classes are shared out."""
    total = sum(counts.values())
    rows = [[text(name), figures.count(n), share_of(n, total)] for name, n in counts.items()]
    return table(["class", "rows", "share"], rows, figures=[1, 2])


@body_of.register
def _(result: TrainResult) -> list[str]:
    known = evaluation_of(result)
    parts = [
        f"**{text(result.algorithm)}**, {fitted_on(result)}; {trials(result)}.",
        *(
            [f"**Not trained again**: nothing it depends on has changed since version {text(result.taken_from)}."]
            if result.taken_from
            else []
        ),
        metrics_table(result, known),
        *([f"Figures are for {text(result.estimates)}."] if result.estimates else []),
    ]
    if result.rejected:
        parts.append(
            table(["rows left out", ""], [[text(reason), figures.count(rows)] for reason, rows in result.rejected.items()], figures=[1])
        )
    if result.threshold is not None:
        parts.append(f"Threshold **{decimal(result.threshold, 3)}**, chosen out of fold for {text(result.objective)}.")
    if known and len(known.search) > 1:
        parts.append(search_chart(known))
    parts.append(fold("Leaderboard", leaderboard(result)))
    where = [["MLflow run", code(result.run_id)], ["data version", code(figures.short(result.data_version))]]
    where += [["contract", code(result.contract_hash)], ["git revision", code(result.git_revision)], ["model card", code(result.card)]]
    where.insert(0, ["model folder", code(result.model)])
    return [*parts, table(["", ""], where)]


def fitted_on(result: TrainResult) -> str:
    """On how many rows the model was really fitted, which on a large table are fewer than there were to train on."""
    if not result.fitted_rows or result.fitted_rows >= result.train_rows:
        return f"trained on {counted(result.train_rows, 'row')}"
    rows = counted(result.train_rows, "training row")
    return f"trained on {figures.count(result.fitted_rows)} of {rows}, which is what the time allowed"


def trials(result: TrainResult) -> str:
    """How many trials there were and how they ended."""
    made = [trial for trial in result.leaderboard if trial.name != VOTE]
    ended = Counter(trial.state for trial in made)
    others = ", ".join(f"{n} {state}" for state, n in ended.items() if state != "ok")
    return f"{counted(len(made), 'trial')}, {ended['ok']} finished" + (f", {others}" if others else "")


def warning_notes(warnings: tuple[str, ...]) -> list[str]:
    """What a person must know before believing the figures, so that it can't be overlooked."""
    return [f"> [!WARNING]\n> **Look before you release.** {text(warning, 600)}" for warning in warnings]


def evaluation_of(result: TrainResult) -> Evaluation | None:
    """What training measured, where it is still on this machine."""
    try:
        return load_evaluation(Path(result.evaluation))
    except PushlineError:
        return None


def metrics_table(result: TrainResult, known: Evaluation | None) -> str:
    """Figures on the hold-out with their intervals, beside those of a score that knows nothing."""
    baseline = known.baseline if known else {}
    rows = []
    for key, value in sorted(result.metrics.items(), key=lambda item: item[0] != result.metric):
        name = f"**{named(key)}**" if key == result.metric else named(key)
        better = "lower" if key in LOWER_IS_BETTER else "higher"
        chance = decimal(baseline.get(key))
        rows.append([name, decimal(value.value), f"{decimal(value.low)} to {decimal(value.high)}", chance, better])
    head = [f"on {counted(result.holdout_rows, 'held-out row')}", "value", "95 % interval", "knowing nothing", "better"]
    return table(head, rows, figures=[1, 2, 3])


def search_chart(known: Evaluation) -> str:
    """The best score so far against time, on an even grid as mermaid wants it."""
    end = known.search[-1][0]
    grid = [end * step / 24 for step in range(25)]
    best = [next((score for at, score in reversed(known.search) if at <= t), known.search[0][1]) for t in grid]
    low, high = min(best), max(best)
    room = (high - low) * 0.15 or 0.01
    title = f"Best {named(known.metric)} out of fold so far"
    return markdown.chart(title, ("seconds", 0, end), (named(known.metric), low - room, high + room), [best])


def leaderboard(result: TrainResult) -> str:
    rows = [
        [text(t.name), text(t.algorithm), decimal(t.score), duration(t.seconds), t.state + (f": {text(t.detail, 120)}" if t.detail else "")]
        for t in result.leaderboard
    ]
    return table(["trial", "algorithm", f"{named(result.metric)} out of fold", "time", "state"], rows, figures=[2, 3])


@body_of.register
def _(result: RegisterResult) -> list[str]:
    verdict = "Accepted for release" if result.decision.accept else "Not accepted: the champion stays"
    what = f"{text(result.model_name)} version **{text(result.version)}**"
    against = f"against the champion, version **{text(result.champion)}**" if result.champion else "as the first version"
    rows = [[text(name), text(value)] for name, value in figures.evidence_rows(result)]
    lead = f"**{verdict}.** {what} {against}: {text(result.decision.reason, 600)}"
    return [lead, table(["evidence", ""], rows, figures=[1]), *replay_notes(result.replay)]


def replay_lines(seen: Replay) -> list[str]:
    """What would have changed, in words."""
    ways = ", ".join(f"{visible(way)} {share:.1%}" for way, share in seen.flips.items())
    asked = (
        f"{counted(seen.rows, 'row')} of requests" if seen.source == "requests" else f"{figures.count(seen.rows)} {visible(seen.source)}"
    )
    lines = [f"replay: version {visible(seen.champion)} and this one were asked {asked}"]
    lines.append(f"  answers that differ clearly: {seen.flipped:.1%}" + (f" ({ways})" if ways else ""))
    lines.append(f"  distance of the scores: {seen.distance:.3f}")
    for group in seen.groups[:REPLAYED_GROUPS]:
        moved = f"odds of {visible(group.label)} times {group.odds:.2f}, {group.flipped:.1%} of the answers differ"
        lines.append(f"  where {visible(group.name)}: {moved}, {counted(group.rows, 'row')}{' (sensitive)' if group.sensitive else ''}")
    return [*lines, *(f"  over its limit: {visible(breach, 500)}" for breach in seen.breaches)]


def replay_notes(seen: Replay | None) -> list[str]:
    """What would have changed, as a list."""
    if seen is None:
        return []
    first, *rest = [text(line.strip(), 700) for line in replay_lines(seen)]
    return [f"{first}:\n\n" + "\n".join(f"- {line}" for line in rest)]


@body_of.register
def _(result: DeployResult) -> list[str]:
    release = result.release
    rows = [["release", code(release.id)], ["model version", f"{text(release.model_name)} {text(release.model_version)}"]]
    rows += [["code", code(release.git_revision)], ["target", text(result.target)], ["address", code(result.url)]]
    return ["The candidate is up beside the live release.", table(["", ""], rows)]


@body_of.register
def _(result: SmokeResult) -> list[str]:
    held = sum(a.passed for a in result.assertions)
    lead = f"**{held} of {len(result.assertions)} assertions hold** for release {code(result.release)}."
    return [lead, assertions_table(result.assertions)]


def assertions_table(assertions: tuple[Assertion, ...]) -> str:
    """Assertions, failed ones first."""
    rows = [
        ["held" if a.passed else "**failed**", text(a.name), text(a.expected), text(a.seen)]
        for a in sorted(assertions, key=lambda a: a.passed)
    ]
    return table(["", "assertion", "expected", "seen"], rows)


@body_of.register
def _(result: LoadTestResult) -> list[str]:
    verdict = "The SLO is kept" if result.passed else f"{counted(len(result.breaches), 'promise')} of the SLO not kept"
    lead = f"**{verdict}**: {counted(result.requests, 'request')} in {result.seconds:.0f} s to release {code(result.release)}."
    parts = [lead, slo_table(result)]
    if len(result.timeline) > 1:
        parts.append(latency_chart(result))
    if result.errors:
        rows = [[text(error), figures.count(n)] for error, n in result.errors.items()]
        parts.append(table(["error", "requests"], rows, figures=[1]))
    return parts


def slo_table(result: LoadTestResult) -> str:
    rows = [[text(name), seen, promise, f"**{kept}**" if kept == "broken" else kept] for name, seen, promise, kept in slo_rows(result)]
    return table([f"offered {per_second(result.offered_rps)}", "seen", "promised", ""], rows, figures=[1, 2])


def slo_rows(result: LoadTestResult) -> list[tuple[str, str, str, str]]:
    """Name, what was seen, what was promised, and whether it was kept: kept, broken, or nothing promised."""
    broken = {breach.setting: breach for breach in result.breaches}
    limits = {**{name: breach.limit for name, breach in broken.items()}, **result.limits}
    rows = []
    for key, seen, promise in promises(result):
        kept = "broken" if broken.pop(key, None) else "kept" if key in limits else ""
        rows.append((named(key).removesuffix(" ms"), seen, promise(limits[key]) if key in limits else "", kept))
    return rows + [(breach.name, f"{breach.seen:.4g}", f"{breach.limit:.4g}", "broken") for breach in broken.values()]


def promises(result: LoadTestResult) -> list[tuple[str, str, figures.Written]]:
    """What the SLO can speak of: the name of its setting, what was seen, and how the promise is written."""
    achieved = share_of(result.achieved_rps, result.offered_rps)
    latencies = [
        (key, milliseconds(getattr(result, key)), lambda x: f"at most {milliseconds(x)}")
        for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    ]
    return [
        ("failures", f"{figures.count(result.failures)} of {figures.count(result.requests)}", lambda x: f"at most {promised(x)}"),
        ("achieved", f"{per_second(result.achieved_rps)} ({achieved})", lambda x: f"at least {promised(x)}"),
        *latencies,
    ]


def latency_chart(result: LoadTestResult) -> str:
    """Percentiles second by second; the y axis ends above the slowest, not at the limit, so that the shape is seen."""
    heard = {piece.second: piece for piece in result.timeline if piece.requests}
    first, last = result.timeline[0].second, result.timeline[-1].second
    silent = [second for second in range(first, last + 1) if second not in heard]
    top = max((piece.p99_ms for piece in heard.values()), default=0.0) * 1.15 or 1.0
    # mermaid draws no gaps: a second without an answer stands at the top, where no answer is as slow
    lines = [[getattr(heard[n], key) if n in heard else top for n in range(first, last + 1)] for key in ("p50_ms", "p95_ms", "p99_ms")]
    title = "p50, p95 and p99 by second, the lowest line first" + ("; at the top - no answer" if silent else "")
    picture = markdown.chart(title, ("second", first, last), ("ms", 0, top), lines)
    if not silent:
        return picture
    return f"**No answer in {counted(len(silent), 'second')}** of {last - first + 1}: {figures.numbers(tuple(silent), 20)}.\n\n{picture}"


@body_of.register
def _(result: PromoteResult) -> list[str]:
    release = result.release
    before = f"{code(result.previous)}; `pushline rollback` goes back to it" if result.previous else "none"
    rows = [["live release", code(release.id)], ["model version", f"{text(release.model_name)} {text(release.model_version)}"]]
    rows += [["address", code(result.url)], ["target", text(result.target)], ["release before", before]]
    steps = [
        [
            f"{step.share:.0%}",
            f"{step.seconds:.0f} s",
            figures.count(step.requests),
            figures.count(step.live_requests),
            figures.count(step.failures),
            f"{step.flipped / step.compared:.1%} of {step.compared:,}" if step.compared else "",
        ]
        for step in result.steps
    ]
    heads = ["share of the live requests", "for", "requests", "of the live release", "failures", "answers that clearly differ"]
    climbed = [table(heads, steps)] if steps else []
    return [f"**Release {code(release.id)} is live.**", table(["", ""], rows), *climbed, assertions_table(result.assertions)]
