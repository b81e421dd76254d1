"""The pictures of the report, each with its title and a description that says in words what it shows."""

import math

from markupsafe import Markup

from pushline.evaluation import ClassCurves, Evaluation, Points
from pushline.report import figures
from pushline.report.figures import NOTHING, counted, decimal, milliseconds, named, percent
from pushline.report.svg import Axis, Plot, mark, strip, stripe
from pushline.results import Interval, LoadTestResult, Slice

SHOWN_CLASSES = 6  # lines in one plot that an eye can tell apart


def share_axis(label: str) -> Axis:
    return Axis(label, 0, 1, " %", 100, ticks=(0, 0.2, 0.4, 0.6, 0.8, 1))


def kind_of(position: int) -> str:
    return "model" if position == 0 else f"series{position}"


def shown(known: Evaluation) -> tuple[ClassCurves, ...]:
    """The largest classes."""
    return tuple(sorted(known.curves, key=lambda curves: -curves.rows)[:SHOWN_CLASSES])


def chosen_point(known: Evaluation) -> tuple[float, float, float] | None:
    """Recall, precision and false positive rate at the threshold, from the confusion matrix of two classes."""
    if known.threshold is None or len(known.confusion) != 2:
        return None
    (true_negative, false_positive), (false_negative, true_positive) = known.confusion
    real, taken, false = true_positive + false_negative, true_positive + false_positive, true_negative + false_positive
    if not real or not taken or not false:
        return None
    return true_positive / real, true_positive / taken, false_positive / false


def precision_recall(known: Evaluation) -> Markup:
    plot = Plot("Precision and recall", share_axis("recall: share found of all that are there"), share_axis("precision"))
    words = []
    for position, curves in enumerate(shown(known)):
        base = curves.rows / known.rows
        if len(known.curves) == 1:
            plot.rule(base, "chance")
            plot.label((0, base), f"knowing nothing {percent(base)}", "chance", dx=14, dy=-6)
        plot.line(curves.precision_recall, kind_of(position))
        words.append(f"{curves.name}: {described(curves.precision_recall, 'recall', 'precision')}")
    if point := chosen_point(known):
        recall, precision, _ = point
        plot.line([(recall, precision), (0.76, 0.875)], "leader")  # the corner above the curve is where there is room
        plot.dot((recall, precision), "chosen", radius=5, hint=f"threshold {decimal(known.threshold, 3)}")
        plot.label((1, 1), f"threshold {decimal(known.threshold, 2)} finds {percent(recall, 0)};", "chosen", anchor="end", dy=14)
        plot.label((1, 1), f"{percent(precision, 0)} of what it picks is right", "chosen", anchor="end", dy=27)
        words.append(f"at the threshold {decimal(known.threshold, 3)} recall is {percent(recall)} and precision {percent(precision)}")
    return plot.render("; ".join(words) + ".")


def roc(known: Evaluation) -> Markup:
    plot = Plot("ROC", share_axis("false positive rate"), share_axis("true positive rate"))
    plot.line([(0, 0), (1, 1)], "chance")
    plot.label((0.45, 0.45), "knowing nothing", "chance", dx=8, dy=14)
    words = []
    for position, curves in enumerate(shown(known)):
        plot.line(curves.roc, kind_of(position))
        words.append(f"{curves.name}: {described(curves.roc, 'false positive rate', 'true positive rate')}")
    if auc := known.metrics.get("roc_auc"):
        plot.label((1, 0.06), f"area {figures.between(auc)}", "model", anchor="end")
    if point := chosen_point(known):
        plot.dot((point[2], point[0]), "chosen", radius=5, hint=f"threshold {decimal(known.threshold, 3)}")
        plot.label((point[2], point[0]), "threshold", "chosen", dx=8, dy=12)
    return plot.render("; ".join(words) + ".")


def calibration(known: Evaluation) -> Markup:
    """Predicted against observed shares, the dots as large as their rows are many, with 95 % intervals."""
    bins = [one for curves in shown(known) for one in curves.calibration if one.rows]
    top = min(max([one.predicted for one in bins] + [one.observed for one in bins] + [0.1]) * 1.12, 1.0)
    axis_x, axis_y = (Axis(label, 0, top, " %", 100) for label in ("predicted probability", "observed share"))
    plot = Plot("Calibration", axis_x, axis_y)
    plot.line([(0, 0), (top, top)], "chance")
    plot.label((top, top * 0.12), "dashed: as promised", "chance", anchor="end")
    most = max((one.rows for one in bins), default=1)
    for position, curves in enumerate(shown(known)):
        kind = kind_of(position)
        filled = [one for one in curves.calibration if one.rows]
        plot.line([(one.predicted, one.observed) for one in filled], f"{kind} thin")
        for one in filled:
            low, high = wilson(one.observed, one.rows)
            plot.whisker(one.predicted, low, high, kind)
            hint = f"predicted {percent(one.predicted)}, observed {percent(one.observed)}, {counted(one.rows, 'row')}"
            plot.dot((one.predicted, one.observed), kind, radius=2.5 + 4 * math.sqrt(one.rows / most), hint=hint)
    words = "; ".join(f"predicted {percent(b.predicted)}, observed {percent(b.observed)} of {counted(b.rows, 'row')}" for b in bins[:12])
    return plot.render(words + ".")


def wilson(share: float, rows: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share seen in so many rows."""
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def gain(known: Evaluation) -> Markup:
    plot = Plot("Gain", share_axis("rows taken, highest scores first"), share_axis("share found"))
    plot.line([(0, 0), (1, 1)], "chance")
    plot.label((0.45, 0.45), "in any order", "chance", dx=8, dy=14)
    words = []
    for position, curves in enumerate(shown(known)):
        plot.line(curves.gain, kind_of(position))
        found = reached(curves.gain, 0.2)
        words.append(f"the highest-scored 20 % of rows hold {percent(found, 0)} of {curves.name}")
    if len(known.curves) == 1:
        found = reached(known.curves[0].gain, 0.2)
        plot.dot((0.2, found), "model")
        plot.label((0.2, found), f"the first 20 % hold {percent(found, 0)}", "model", dx=8, dy=12)
    return plot.render("; ".join(words) + ".")


def lift(known: Evaluation) -> Markup:
    """How much denser the class is in each tenth of the rows, highest scores first."""
    curves = shown(known)[0]
    tenths = [(reached(curves.gain, n / 10) - reached(curves.gain, (n - 1) / 10)) * 10 for n in range(1, 11)]
    top = max([*tenths, 1.2]) * 1.12
    x = Axis("tenth of the rows, highest scores first", 0.4, 10.6, ticks=range(1, 11))
    plot = Plot("Lift", x, Axis("times as dense as on average", 0, top, "×"))
    for number, value in enumerate(tenths, 1):
        plot.bar(number, 0.72, value, hint=f"tenth {number}: {value:.2f} times")
    plot.rule(1, "chance")
    plot.label((10.6, 1), "average", "chance", anchor="end", dy=-5)
    plot.label((1, tenths[0]), f"{tenths[0]:.1f}×", "model", anchor="middle", dy=-5)
    return plot.render(f"{curves.name} by tenth: " + ", ".join(f"{value:.2f}" for value in tenths) + " times the average.")


def search(known: Evaluation) -> Markup:
    """The best score so far against the time spent."""
    points = known.search
    end = max(points[-1][0], 1e-3)
    scores = [score for _, score in points]
    room = (max(scores) - min(scores)) * 0.2 or 0.01
    low, high = min(scores) - room, max(scores) + room
    y = Axis(f"best {named(known.metric)} so far", low, high)
    plot = Plot("Quality against time", Axis("seconds of search", 0, end), y, left=58)
    plot.line([*points, (end, points[-1][1])], stepped=True)
    first, last = points[0], points[-1]
    plot.dot(first)
    plot.dot((end, last[1]))
    falls = last[1] < first[1]  # a loss
    plot.label(first, f"{decimal(first[1])} after {figures.duration(first[0])}", dx=8, dy=-8 if falls else 14)
    plot.label((end, last[1]), decimal(last[1]), anchor="end", dy=14 if falls else -8)
    return plot.render(f"From {decimal(first[1])} after {figures.duration(first[0])} to {decimal(last[1])} after {figures.duration(end)}.")


def latencies(tested: LoadTestResult) -> Markup:
    """Percentiles second by second beside the SLO, on a logarithmic axis so that both are seen."""
    keys = ("p50_ms", "p95_ms", "p99_ms")
    seen = [getattr(piece, key) for piece in tested.timeline for key in keys if getattr(piece, key) > 0] or [1.0]
    limits = {key: tested.limits[key] for key in keys if tested.limits.get(key, 0) > 0}
    low, high = min(seen) / 1.6, max([*seen, *limits.values()]) * 1.7
    start, end = tested.timeline[0].second, tested.timeline[-1].second
    x = Axis("second of the load", start, max(end, start + 1))
    plot = Plot("Latency over time", x, Axis("milliseconds, logarithmic", low, high, log=True), right=40)
    for key, value in limits.items():
        plot.rule(value, "limit")
        plot.label((start, value), f"{named(key)} promised: {milliseconds(value)}", "limit", dx=2, dy=-5)
    for position, key in enumerate(keys):
        kind = f"series-p{position}"
        for run in answered(tested):
            plot.line([(piece.second, getattr(piece, key)) for piece in run], kind)
        newest = next((piece for piece in reversed(tested.timeline) if piece.requests), None)
        if newest:
            plot.label((newest.second, getattr(newest, key)), named(key), kind, dx=5, dy=4)
    for piece in tested.timeline:
        if piece.failures or not piece.requests:
            hint = counted(piece.failures, "failure") if piece.requests else "no answer"
            plot.dot((piece.second, low), "bad", radius=3.5, hint=f"second {piece.second}: {hint}")
    return plot.render(f"p50 {milliseconds(tested.p50_ms)}, p95 {milliseconds(tested.p95_ms)}, p99 {milliseconds(tested.p99_ms)} overall.")


def answered(tested: LoadTestResult) -> list[list[Slice]]:
    """The seconds in which something was answered, in unbroken runs: a silent second is a gap, not a fast one."""
    runs: list[list[Slice]] = [[]]
    for piece in tested.timeline:
        if piece.requests:
            runs[-1].append(piece)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def reached(points: Points, at: float) -> float:
    """The height of a line at x, between its points."""
    before = points[0]
    for point in points:
        if point[0] >= at:
            span = point[0] - before[0]
            return point[1] if span <= 0 else before[1] + (point[1] - before[1]) * (at - before[0]) / span
        before = point
    return before[1]


def described(points: Points, x: str, y: str) -> str:
    return ", ".join(f"{y} {percent(reached(points, at), 0)} at {x} {percent(at, 0)}" for at in (0.2, 0.5, 0.8))


def interval_strip(value: Interval, baseline: float | None, top: float) -> Markup:
    """A figure with its interval and what knowing nothing gives, on a scale from 0 to `top`."""
    parts = [stripe(0, 1, "track", y=6, height=2), stripe(value.low / top, value.high / top, "soft")]
    if baseline is not None:
        parts.append(mark(baseline / top, "chance"))
    words = f"{figures.between(value)}; knowing nothing {decimal(baseline) if baseline is not None else NOTHING}; scale 0 to {top:g}"
    return strip(*parts, mark(value.value / top), words=words)


def share_strip(share: float, kind: str = "model") -> Markup:
    """A share as a bar."""
    return strip(stripe(0, 1, "track", y=6, height=2), stripe(0, share, kind), words=percent(share))


def drift_strip(statistic: float, threshold: float | None, drifted: bool) -> Markup:
    """A drift index beside the threshold of an alarm, which stands in the middle."""
    top = 2 * threshold if threshold else max(statistic, 1e-9)
    parts = [stripe(0, 1, "track", y=6, height=2), stripe(0, statistic / top, "bad" if drifted else "model")]
    return strip(*parts, *([mark(0.5, "chance")] if threshold else []), words=f"{statistic:.4f}, threshold {decimal(threshold)}")


def difference_strip(difference: float, low: float, high: float) -> Markup:
    """A difference with its interval around nought."""
    reach = max(abs(low), abs(high), abs(difference), 1e-9) * 1.2

    def place(value: float) -> float:
        return (value + reach) / (2 * reach)

    kind = "good" if low > 0 else "bad" if high < 0 else "soft"
    parts = [stripe(0, 1, "track", y=6, height=2), stripe(place(low), place(high), kind), mark(0.5, "chance"), mark(place(difference))]
    return strip(*parts, words=f"{difference:+.4f}, interval {low:+.4f} to {high:+.4f}, around nought")
