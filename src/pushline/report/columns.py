"""What each column holds, from the profile: how its values are spread, by class, and how many are missing."""

from typing import NamedTuple

from markupsafe import Markup

from pushline.data.profile import ColumnProfile, Profile, load_profile
from pushline.errors import PushlineError
from pushline.evaluation import Evaluation
from pushline.project import Project
from pushline.report.figures import counted, percent, visible
from pushline.report.svg import tag

BINS, BARS = 24, 8  # of a number, and the most frequent values of a category
WIDTH, HEIGHT, FOOT = 220, 64, 60
LINES = 3  # classes drawn over the bars


class Spread(NamedTuple):
    """One column and its picture."""

    name: str
    missing: float | None  # share
    ends: tuple[str, str]
    picture: Markup


def profile_of(project: Project) -> Profile | None:
    try:
        return load_profile(project.profile)
    except PushlineError:
        return None


def spreads_of(profile: Profile, known: Evaluation | None) -> list[Spread]:
    """Every column that has a histogram, those first that the model leans on."""
    rank = {one.column: -one.fall for one in known.importance} if known else {}
    columns = [column for column in profile.columns if column.counts and column.cells]
    return [spread(column, profile) for column in sorted(columns, key=lambda column: rank.get(column.name, 0.0))]


def spread(column: ColumnProfile, profile: Profile) -> Spread:
    names, cells = cells_of(column)
    total = [sum(cell) for cell in zip(*cells, strict=True)]
    held, most = sum(total) or 1, max(total, default=1) or 1
    drawn = [bar(place, len(total), count / most, f"{name}: {counted(count, 'row')}, {percent(count / held)}")
             for place, (name, count) in enumerate(zip(names, total, strict=True))]  # fmt: skip
    for place, number in enumerate(lines_of(profile)):
        of_class = cells[number]
        share = [count / (sum(of_class) or 1) * held / most for count in of_class]
        drawn.append(steps(share, "series1" if len(profile.classes) == 2 else ("model", "series1", "series2")[place]))
    missing = sum(column.missing) / profile.rows if column.missing and profile.rows else None
    first = zip(names[:6], total[:6], strict=True)
    words = f"{visible(column.name)}: " + ", ".join(f"{name} {percent(count / held)}" for name, count in first)
    ends = (names[0], names[-1] if column.kind == "number" else counted(column.cells, "value"))
    box = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria_label": words, "class_": "spread", "preserveAspectRatio": "none"}
    return Spread(column.name, missing, ends, tag("svg", *drawn, **box))


def lines_of(profile: Profile) -> list[int]:
    """The classes that are drawn: of two the positive one, else the largest."""
    if len(profile.classes) == 2:
        return [1]
    return sorted(range(len(profile.classes)), key=lambda number: -profile.class_counts[number])[:LINES]


def cells_of(column: ColumnProfile) -> tuple[list[str], list[list[int]]]:
    """The names of the cells and their rows by class: a number's in ranges of its scale, a category's most frequent values first."""
    if column.kind == "category":
        order = sorted(range(column.cells), key=lambda cell: -sum(counts[cell] for counts in column.counts))
        names = [visible(column.values[cell], 24) for cell in order[:BARS]]
        counts = [[of_class[cell] for cell in order[:BARS]] for of_class in column.counts]
        if rest := order[BARS:]:
            names.append(f"{len(rest)} more")
            counts = [[*shown, sum(of_class[cell] for cell in rest)] for shown, of_class in zip(counts, column.counts, strict=True)]
        return names, counts
    low, high = column.low[0], column.high[-1]
    width = (high - low) / BINS or 1.0
    spread_over = [[0.0] * BINS for _ in column.counts]
    for cell in range(column.cells):
        first, last = ((end - low) / width for end in (column.low[cell], column.high[cell]))
        places = range(min(int(first), BINS - 1), min(int(last), BINS - 1) + 1)  # a cell that is wide lies in several bins
        for number, of_class in enumerate(column.counts):
            for place in places:
                share = (min(last, place + 1) - max(first, place)) / (last - first) if len(places) > 1 else 1.0
                spread_over[number][place] += of_class[cell] * share
    names = [f"{low + place * width:.4g}" for place in range(BINS - 1)] + [f"{high:.4g}"]
    return names, [[round(count) for count in of_class] for of_class in spread_over]


def bar(place: int, of: int, height: float, hint: str) -> Markup:
    step = WIDTH / of
    tall = max(height * (FOOT - 4), 0.0)
    return tag("rect", tag("title", hint), x=place * step + 0.5, y=FOOT - tall, width=step - 1.0, height=tall, class_="bar soft")


def steps(heights: list[float], kind: str) -> Markup:
    """A stepped line over the bars, held at the top of the picture."""
    step = WIDTH / len(heights)
    tops = [FOOT - min(height, 1.0) * (FOOT - 4) for height in heights]
    corners = [(x, top) for place, top in enumerate(tops) for x in (place * step, (place + 1) * step)]
    return tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), class_=f"line thin {kind}")
