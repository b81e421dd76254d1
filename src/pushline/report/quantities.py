"""The pictures of a quantity: predicted against actual, and how far apart they are."""

from markupsafe import Markup

from pushline.evaluation import Evaluation
from pushline.report.figures import counted, decimal, percent
from pushline.report.svg import Axis, Plot


def predicted(known: Evaluation) -> Markup:
    """What was observed where alike values were predicted: the mean, and the range of the middle 80 % of rows."""
    ends = [end for one in known.ranges for end in (one.predicted, one.low, one.high)]
    room = (max(ends) - min(ends)) * 0.05 or 1.0
    low, high = min(ends) - room, max(ends) + room
    plot = Plot("Predicted against actual", Axis("predicted", low, high), Axis("actual", low, high), left=58)
    plot.line([(low, low), (high, high)], "chance")
    plot.label((high, low + 2 * room), "dashed: as predicted", "chance", anchor="end")
    words = []
    for one in known.ranges:
        said = f"predicted {decimal(one.predicted)}, actual {decimal(one.observed)}"
        plot.whisker(one.predicted, one.low, one.high)
        plot.dot((one.predicted, one.observed), hint=f"{said}, {counted(one.rows, 'row')}, {percent(one.coverage)} in their interval")
        words.append(said)
    return plot.render("; ".join(words) + ".")


def residuals(known: Evaluation) -> Markup:
    """How many rows lie how far above or below their prediction."""
    assert known.residuals is not None
    low, high, rows = known.residuals.low, known.residuals.high, known.residuals.rows
    width = (high - low) / len(rows)
    plot = Plot("Residuals", Axis("actual minus predicted", low, high), Axis("rows", 0, max(rows) * 1.1))
    for number, count in enumerate(rows):
        middle = low + (number + 0.5) * width
        plot.bar(middle, width * 0.9, count, hint=f"about {decimal(middle)}: {counted(count, 'row')}")
    if low < 0 < high:
        plot.line([(0, 0), (0, max(rows) * 1.1)], "chance")
    under = sum(count for number, count in enumerate(rows) if low + (number + 0.5) * width < 0)
    return plot.render(
        f"{percent(under / max(sum(rows), 1))} of the rows lie below their prediction; from {decimal(low)} to {decimal(high)}."
    )
