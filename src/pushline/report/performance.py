"""What a released version does now, as lines and as Markdown with a picture."""

from typing import TYPE_CHECKING

from pushline.report.figures import between, counted, decimal, named, percent
from pushline.report.markdown import code, table, text

if TYPE_CHECKING:
    from pushline.outcomes.store import OutcomesResult
    from pushline.performance.judge import WindowFigures
    from pushline.performance.performance import PerformanceResult, Series


def outcome_lines(added: "OutcomesResult") -> list[str]:
    told = {
        "new": added.new,
        "corrected": added.corrected,
        "late": added.late,
        "unchanged": added.unchanged,
        "not known yet": added.waiting,
    }
    lines = [f"{counted(added.rows, 'row')}: " + ", ".join(f"{count:,} {name}" for name, count in told.items() if count or name == "new")]
    if added.unknown:
        lines.append(f"{counted(added.unknown, 'outcome')} of rows that the prediction log does not hold; kept, in case it is read later")
    return [*lines, f"{counted(added.outcomes, 'outcome')} known by now"]


def told(one: "WindowFigures") -> str:
    if one.verdict == "too few rows":
        return one.verdict
    parts = [f"estimated {between(one.estimated)}"] if one.estimated else []
    if one.realised:
        delay = f", {one.delay_days:.1f} days later" if one.delay_days is not None else ""
        parts.insert(0, f"realised {between(one.realised)} on {counted(one.known, 'outcome')}{delay}")
    return f"{'; '.join(parts)}{' (below)' if one.verdict == 'below' else ''}"


def performance_summary(seen: "PerformanceResult") -> str:
    whole, *groups = seen.series
    head = f"**{text(title_of(seen))}**"
    rows = [
        [
            f"{one.start:%Y-%m-%d %H:%M}",
            f"{one.rows:,}",
            f"{one.known:,}",
            between(one.realised) if one.realised else "",
            between(one.estimated) if one.estimated else "",
            text(one.method),
            share(one),
            one.verdict,
        ]
        for one in whole.windows
    ]
    parts = [head, f"{text(named(seen.metric))} {between(whole.promise.interval)} is promised, {decimal(whole.promise.limit)} tolerated."]
    parts += [f"- {text(alarm.what)} {text(alarm.do)}" for alarm in seen.alarms]
    parts += [picture(whole)] if sum(one.estimated is not None for one in whole.windows) > 1 else []
    parts.append(table(["from", "rows", "outcomes", "realised", "estimated", "by", "expected, came", "verdict"], rows, figures=[1, 2]))
    newest = [(one, one.windows[-1]) for one in groups if one.windows and one.windows[-1].verdict != "too few rows"]
    if newest:
        listed = [[code(one.group), between(one.promise.interval), text(told(last))] for one, last in newest]
        parts.append(table(["rows where", "promised", "newest window"], listed, figures=[]))
    return "## performance\n\n" + "\n\n".join([*parts, *(f"- {text(one)}" for one in seen.assumptions)]) + "\n"


def share(one: "WindowFigures") -> str:
    check = one.calibration
    return f"{percent(check.expected)}, {percent(check.observed)}{'' if check.holds else ', off'}" if check else ""


def title_of(seen: "PerformanceResult") -> str:
    if seen.alarms:
        return f"Version {seen.version} is below its promise"
    judged = any(one.verdict != "too few rows" for one in seen.series[0].windows)
    return f"Version {seen.version} keeps its promise" if judged else f"Version {seen.version} has answered too few rows to say"


def picture(whole: "Series") -> str:
    """A chart that GitHub draws: realised where it is known, else estimated, with the promise and what is tolerated."""
    shown = [one for one in whole.windows if one.estimated][-30:]
    seen = [one.realised.value if one.realised else one.estimated.value for one in shown if one.estimated]
    promise = whole.promise
    levels = [*seen, promise.limit, promise.interval.value]
    room = (max(levels) - min(levels)) * 0.1 or 0.01
    lines = [seen, [promise.interval.value] * len(seen), [promise.limit] * len(seen)]
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'  title "{named(promise.metric)}: seen, promised, tolerated"',
            f"  x-axis [{', '.join(f'{one.start:%m-%d}' for one in shown)}]",
            f'  y-axis "{named(promise.metric)}" {min(levels) - room:.4f} --> {max(levels) + room:.4f}',
            *(f"  line [{', '.join(f'{value:.4f}' for value in line)}]" for line in lines),
            "```",
        ]
    )
