"""A result as lines for a terminal: one fact a line, each figure beside its threshold, its sample size or what it is compared with."""

from collections import Counter
from functools import singledispatch

from pushline.report import figures
from pushline.report.figures import (
    LOWER_IS_BETTER,
    counted,
    decimal,
    file_name,
    milliseconds,
    named,
    per_second,
    promised,
    share_of,
    visible,
)
from pushline.results import (
    VOTE,
    Assertion,
    CheckDataResult,
    DeployResult,
    FetchResult,
    Finding,
    LoadTestResult,
    PromoteResult,
    RegisterResult,
    Replay,
    SmokeResult,
    TrainResult,
)

REPLAYED_GROUPS = 3  # that moved most
SHOWN = 20  # findings, assertions or trials; result.json holds the rest
SAMPLE = "generated sample: these rows were drawn from the profile, nothing here says anything about real data"


@singledispatch
def lines_of(result: object) -> list[str]:
    """A human line per fact."""
    raise TypeError(f"{type(result).__name__} is not a stage's result")


@lines_of.register
def _(result: FetchResult) -> list[str]:
    lines = [f"data version {figures.short(result.data_version)}: {counted(result.rows, 'row')}, {counted(result.columns, 'column')}"]
    lines += [f"{visible(file.name)}: {counted(file.rows, 'row')} from {visible(file.origin)}" for file in result.files]
    return [*lines, *([SAMPLE] if result.generated_sample else [])]


@lines_of.register
def _(result: CheckDataResult) -> list[str]:
    counts = f"{result.critical} critical, {counted(result.warning, 'warning')}, {result.info} info"
    lines = [f"{file_name(result.file)}: {counted(result.rows, 'row')}, {counted(result.columns, 'column')}", f"findings: {counts}"]
    lines += [line for finding in result.findings[:SHOWN] for line in finding_lines(finding)]
    if len(result.findings) > SHOWN:
        lines.append(f"{len(result.findings) - SHOWN} more findings are in build/check-data/result.json")
    total = sum(result.class_counts.values())
    lines += [f"class {visible(name)}: {figures.count(n)} ({share_of(n, total)})" for name, n in result.class_counts.items()]
    return [*lines, *([SAMPLE] if result.generated_sample else [])]


def finding_lines(finding: Finding) -> list[str]:
    place = f" {visible(finding.column)}:" if finding.column else ""
    lines = [f"{finding.severity}:{place} {visible(finding.message)} [{visible(finding.id)}]"]
    where = f"lines {figures.numbers(finding.lines)}" if finding.lines else ""
    seen = f"seen {visible(finding.seen)}" if finding.seen else ""
    expected = f"expected {visible(finding.expected)}" if finding.expected else ""
    detail = "; ".join(part for part in (seen, expected, where) if part)
    return [*lines, *([f"  {detail}"] if detail else [])]


@lines_of.register
def _(result: TrainResult) -> list[str]:
    lines = [f"model: {visible(result.algorithm)}, {fitted_on(result)}", *warning_lines(result.warnings)]
    lines += [f"left out: {counted(rows, 'row')}: {visible(reason)}" for reason, rows in result.rejected.items()]
    first = sorted(result.metrics.items(), key=lambda item: item[0] != result.metric)
    for key, value in first:
        note = f", what AutoML optimised, on {counted(result.holdout_rows, 'held-out row')}" if key == result.metric else ""
        better = " (lower is better)" if key in LOWER_IS_BETTER else ""
        lines.append(f"{named(key)}: {figures.between(value)}{better}{note}")
    lines += [f"figures are for {visible(result.estimates)}"] if result.estimates else []
    if result.threshold is not None:
        lines.append(f"threshold: {decimal(result.threshold, 3)}, chosen out of fold for {visible(result.objective)}")
    lines.append(f"search: {trials(result)}")
    lines.append(f"model folder: {result.model}")
    lines.append(f"MLflow run: {visible(result.run_id)}")
    return [*lines, *([SAMPLE] if result.generated_sample else [])]


def warning_lines(warnings: tuple[str, ...]) -> list[str]:
    return [f"warning: {visible(warning, 600)}" for warning in warnings]


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


@lines_of.register
def _(result: RegisterResult) -> list[str]:
    against = f"compared with the champion, version {visible(result.champion)}" if result.champion else "no champion yet"
    lines = [f"{visible(result.model_name)} version {visible(result.version)}, {against}"]
    lines.append(f"{'accepted' if result.decision.accept else 'not accepted'}: {visible(result.decision.reason, 600)}")
    lines += [f"  {named(key)}: {figures.fact(key, value)}" for key, value in result.decision.evidence.items()]
    lines += replay_lines(result.replay) if result.replay else []
    lines += warning_lines(result.warnings)
    return [*lines, *([SAMPLE] if result.generated_sample else [])]


@lines_of.register
def replay_lines(seen: Replay) -> list[str]:
    """What would have changed, in words."""
    ways = ", ".join(f"{visible(way)} {share:.1%}" for way, share in seen.flips.items())
    asked = (
        f"{counted(seen.rows, 'row')} of requests" if seen.source == "requests" else f"{figures.count(seen.rows)} {visible(seen.source)}"
    )
    lines = [f"replay: version {visible(seen.champion)} and this one were asked {asked}"]
    lines.append(f"  decisions that differ clearly: {seen.flipped:.1%}" + (f" ({ways})" if ways else ""))
    lines.append(f"  distance of the scores: {seen.distance:.3f}")
    for group in seen.groups[:REPLAYED_GROUPS]:
        moved = f"odds of {visible(group.label)} times {group.odds:.2f}, {group.flipped:.1%} of the decisions differ"
        lines.append(f"  where {visible(group.name)}: {moved}, {counted(group.rows, 'row')}{' (sensitive)' if group.sensitive else ''}")
    return [*lines, *(f"  over its limit: {visible(breach, 500)}" for breach in seen.breaches)]


@lines_of.register
def _(result: DeployResult) -> list[str]:
    release = result.release
    what = f"{visible(release.model_name)} version {visible(release.model_version)}, code {visible(release.git_revision)}"
    return [f"candidate on {visible(result.target)}: release {visible(release.id)} ({what})", f"address: {visible(result.url)}"]


@lines_of.register
def _(result: SmokeResult) -> list[str]:
    return [f"release {visible(result.release)} at {visible(result.url)}", *assertion_lines(result.assertions)]


def assertion_lines(assertions: tuple[Assertion, ...]) -> list[str]:
    failed = [a for a in assertions if not a.passed]
    lines = [f"{len(assertions) - len(failed)} of {len(assertions)} assertions hold"]
    lines += [f"failed: {visible(a.name)}: expected {visible(a.expected)}, saw {visible(a.seen)}" for a in failed[:SHOWN]]
    return [*lines, *(f"held: {visible(a.name)}: {visible(a.seen)}" for a in assertions if a.passed)]


@lines_of.register
def _(result: LoadTestResult) -> list[str]:
    limits = result.limits
    lines = [
        f"rate: {per_second(result.achieved_rps)} achieved of {per_second(result.offered_rps)} offered "
        f"({share_of(result.achieved_rps, result.offered_rps)}{limit(limits, 'achieved', 'at least', promised)}), {result.seconds:.0f} s",
        f"failures: {figures.count(result.failures)} of {counted(result.requests, 'request')}"
        f"{limit(limits, 'failures', 'at most', promised)}",
    ]
    for key, value in (("p50_ms", result.p50_ms), ("p95_ms", result.p95_ms), ("p99_ms", result.p99_ms), ("max_ms", result.max_ms)):
        lines.append(f"{named(key).removesuffix(' ms')}: {milliseconds(value)}{limit(limits, key, 'at most', milliseconds)}")
    lines += [f"error: {visible(error)}: {counted(n, 'request')}" for error, n in list(result.errors.items())[:SHOWN]]
    broken = [f"broken promise: {visible(b.name)} was {b.seen:.4g}, the limit is {b.limit:.4g}" for b in result.breaches]
    return [*lines, *(broken or [f"SLO: {'kept' if result.passed else 'not kept'}"])]


def limit(limits: dict[str, float], key: str, word: str, written: figures.Written) -> str:
    """The promise of the SLO behind a figure, where the result knows it."""
    return f", {word} {written(limits[key])}" if key in limits else ""


@lines_of.register
def _(result: PromoteResult) -> list[str]:
    before = f"{visible(result.previous)} (`pushline rollback` goes back to it)" if result.previous else "none"
    release = result.release
    return [
        f"live on {visible(result.target)}: release {visible(release.id)}, "
        f"{visible(release.model_name)} version {visible(release.model_version)}",
        f"address: {visible(result.url)}",
        f"release before: {before}",
        *assertion_lines(result.assertions),
    ]
