"""Tables that have nothing in common, each written the way its makers write files."""

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Table:
    """A file to adopt and what has to be said to do it."""

    file: Path
    label: str
    options: tuple[str, ...] = ()


Make = Callable[[Path], Table]


def sixty_rows(folder: Path) -> Table:
    """Two kinds of iris, thirty flowers each."""
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame.query("target > 0").groupby("target").head(30).copy()
    frame["kind"] = frame.pop("target").map({1: "versicolor", 2: "virginica"})
    file = folder / "sixty.csv"
    frame.to_csv(file, index=False)
    return Table(file, "kind", ("--positive", "virginica"))


def three_classes(folder: Path) -> Table:
    """Wines of three growers, numbered."""
    from sklearn.datasets import load_wine

    file = folder / "Wein 3.csv"
    load_wine(as_frame=True).frame.to_csv(file, index=False)
    return Table(file, "target")


def decimal_commas(folder: Path) -> Table:
    """Tumours, saved by a European spreadsheet: semicolons, decimal commas, a byte order mark."""
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame
    frame["malignant"] = frame.pop("target") == 0
    file = folder / "tumours.csv"
    file.write_bytes(frame.to_csv(index=False, sep=";", decimal=",", lineterminator="\r\n").encode("utf-8-sig"))
    return Table(file, "malignant")


def orders(folder: Path) -> Table:
    """Orders with nulls, dates, free text over several lines, booleans, codes, an identifier, a constant and a rare class."""
    random = np.random.default_rng(3)
    rows = 900
    amount, visits = random.gamma(2, 40, rows), random.integers(0, 40, rows)
    kind = np.array(["gift", "home", "office", "?"], dtype=object)[random.integers(0, 4, rows)]
    member = random.random(rows) < 0.4
    strength = amount / 40 - visits / 8 + 1.5 * member + (kind == "gift") + random.normal(size=rows)
    frame = pd.DataFrame(
        {
            "order_id": np.arange(100001, 100001 + rows),
            "placed": pd.date_range("2025-01-01", periods=rows, freq="7h").strftime("%d.%m.%Y %H:%M"),
            "amount": np.where(random.random(rows) < 0.1, "NA", np.round(amount, 2).astype(str)),
            "visits": pd.Series(visits).astype("Int64").mask(random.random(rows) < 0.2),
            "kind": kind,
            "member": np.where(member, "True", "False"),
            "depot": [f"{number:05d}" for number in random.integers(1, 9, rows)],
            "street": [f"Street {number}" for number in random.integers(0, 700, rows)],
            "note": [f'said "well, {number}"\nand more than that, as people do' for number in random.integers(0, 9**6, rows)],
            "currency": "EUR",
            "returned": np.where(strength > np.quantile(strength, 0.85), "yes", "no"),
        }
    )
    file = folder / "orders.csv"
    frame.to_csv(file, index=False, quoting=csv.QUOTE_NONNUMERIC)
    return Table(file, "returned")


def two_hundred_columns(folder: Path) -> Table:
    """Sensors of a machine, as Parquet."""
    from sklearn.datasets import make_classification

    matrix, label = make_classification(500, 200, n_informative=12, class_sep=1.6, random_state=5)
    frame = pd.DataFrame(matrix, columns=[f"sensor {number:03d}" for number in range(200)])
    frame["state"] = np.where(label == 1, "fails", "runs")
    file = folder / "sensors.parquet"
    frame.to_parquet(file, index=False)
    return Table(file, "state", ("--positive", "fails", "--name", "machine-sensors"))


def not_ascii(folder: Path) -> Table:
    """Names and values of other alphabets, parted by tabs, in a ZIP file."""
    random = np.random.default_rng(8)
    rows = 400
    height, city = random.normal(170, 12, rows), np.array(["Köln", "Москва", "東京"], dtype=object)[random.integers(0, 3, rows)]
    strength = (height - 170) / 8 + 1.4 * (city == "東京") + random.normal(size=rows)
    edges = np.quantile(strength, [0.4, 0.75])
    frame = pd.DataFrame(
        {
            "Größe (cm)": np.round(height, 1),
            "город": city,
            "年齢": random.integers(18, 90, rows),
            "été": random.random(rows) < 0.5,
            "klasse \u201eneu\u201c": np.array(["tief", "mäßig", "höher"], dtype=object)[np.searchsorted(edges, strength)],
        }
    )
    stream = io.StringIO()
    frame.to_csv(stream, index=False, sep="\t")
    file = folder / "personen_größe.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("personen_größe.tsv", stream.getvalue())
    return Table(file, "klasse \u201eneu\u201c")


TABLES: tuple[Make, ...] = (three_classes, decimal_commas, orders, two_hundred_columns, not_ascii)


ODD_NAMES = (
    "place", "n", "label", "row", "rows", "v0", "c0", "p0", "x", "data", "number", "classes", "cell", "number_of", "select", "from",
    "order by",
    "yes", "on", "null", "true", "~", "-", "=1+1", "@SUM(A1)", "../../etc/passwd", "C:\\temp", 'quote " in it', "it's", "`tick`", "a.b",
    "a,b;c|d",
    "{brace} [x] (y)", "%s %d", "$HOME", "# not a comment", "a: b", "<script>alert(1)</script>", "emoji 😀", "שם עמודה", "اسم", "naïve",
    "x" * 300,
    "id", "index", "target", "__class__", "\\n", "\\u0041", "key=value&other", "class",
)  # fmt: skip


def odd_names(folder: Path) -> Table:
    """Columns called like our own variables, SQL and YAML words, paths, formulas, in other scripts: a name is data."""
    random = np.random.default_rng(12)
    rows = 500
    frame = pd.DataFrame({name: random.normal(size=rows).round(3) for name in ODD_NAMES[::2]})
    for name in ODD_NAMES[1::2]:
        frame[name] = np.array(["no", 'a "quote"', "on", "=2+2", "😀"], dtype=object)[random.integers(0, 5, rows)]
    strength = frame[ODD_NAMES[0]] + frame[ODD_NAMES[2]] + (frame[ODD_NAMES[1]] == "on") + random.normal(size=rows) / 2
    frame["outcome?"] = np.where(strength > np.quantile(strength, 0.6), "yes", "no")
    file = folder / "odd names.csv"
    frame.to_csv(file, index=False)
    return Table(file, "outcome?")


def fares(folder: Path) -> Table:
    """Taxi fares of 150 days, a quantity with a long tail, packed by gzip: American dates, distance, duration, zone, how it was paid."""
    random = np.random.default_rng(11)
    rows = 1200
    distance, hour = random.gamma(2, 2.5, rows), random.integers(0, 24, rows)
    minutes = distance * (3 + 2 * np.isin(hour, (8, 9, 17, 18))) * random.lognormal(0, 0.2, rows)
    zone = random.choice(["airport", "centre", "north", "south"], rows, p=[0.1, 0.4, 0.3, 0.2])
    fare = (3 + 1.7 * distance + 0.3 * minutes + 12 * (zone == "airport")) * random.lognormal(0, 0.1, rows)
    frame = pd.DataFrame(
        {
            "trip": [f"t-{number:05d}" for number in range(rows)],
            "pickup": (pd.Timestamp("2025-03-01") + pd.to_timedelta(np.arange(rows) // 8 * 24 + hour, unit="h")).strftime(
                "%m/%d/%Y %I:%M %p"
            ),
            "distance_km": distance.round(2),
            "minutes": minutes.round(1),
            "zone": zone,
            "card": random.random(rows) < 0.7,
            "fare": fare.round(2),
        }
    )
    file = folder / "fares.csv.gz"
    frame.to_csv(file, index=False)
    return Table(file, "fare")
