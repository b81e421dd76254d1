"""Files with cells that are not of their column's type."""

import io

import pandas as pd

from data.faults import fault
from data.faults.sound import Sound


@fault("type", column="age", lines=(17, 90), reads_rows=True)
def text_in_a_number_column(sound: Sound) -> bytes:
    return sound.set(17, "age", "forty").set(90, "age", "n/a").csv()


@fault("type", column="age", lines=(17,), reads_rows=True)
def fraction_in_an_integer_column(sound: Sound) -> bytes:
    return sound.set(17, "age", "41.5").csv()


@fault("type", column="campaign", lines=(2,), reads_rows=True)
def integer_beyond_64_bits(sound: Sound) -> bytes:
    return sound.set(2, "campaign", "9" * 25).csv()


@fault("type", column="euribor3m", lines=(5,), reads_rows=True)
def infinite_number(sound: Sound) -> bytes:
    return sound.set(5, "euribor3m", "inf").csv()


@fault("type", column="euribor3m", lines=(5, 6), reads_rows=True)
def not_a_number(sound: Sound) -> bytes:
    return sound.set(5, "euribor3m", "NaN").set(6, "euribor3m", "nan").csv()


@fault("type", column="nr.employed", lines=tuple(range(2, 22)), reads_rows=True)
def thousand_separators(sound: Sound) -> bytes:
    return sound.change("nr.employed", lambda value: f"{float(value):,.1f}").csv()


@fault("type", column="cons.price.idx", lines=tuple(range(2, 22)), reads_rows=True)
def decimal_comma_in_quotes(sound: Sound) -> bytes:
    return sound.change("cons.price.idx", lambda value: value.replace(".", ",") if "." in value else value + ",0").csv()


@fault("type", lines=tuple(range(2, 22)), reads_rows=True)
def decimal_commas_in_quotes_everywhere(sound: Sound) -> bytes:
    for name in ("emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m", "nr.employed"):
        sound.change(name, lambda value: value.replace(".", ",") if "." in value else value + ",0")
    return sound.csv()


@fault("type", column="duration", lines=(8,), reads_rows=True)
def underscore_in_a_number(sound: Sound) -> bytes:
    return sound.set(8, "duration", "1_000").csv()


@fault("type", column="age", lines=(4,), suffix=".parquet", reads_rows=True)
def parquet_with_a_fraction_in_an_integer_column(sound: Sound) -> bytes:
    """In a Parquet file a line is the row's number, from 1."""
    frame = pd.DataFrame(sound.rows, columns=sound.names)
    frame["age"] = frame["age"].astype(float)
    frame.loc[3, "age"] = 41.5
    return parquet(frame)


@fault("allowed", column="job", lines=(4,), suffix=".parquet", reads_rows=True)
def parquet_with_an_unknown_category(sound: Sound) -> bytes:
    frame = pd.DataFrame(sound.rows, columns=sound.names)
    frame.loc[3, "job"] = "poet"
    return parquet(frame)


def parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()
