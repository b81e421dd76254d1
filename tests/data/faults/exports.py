"""What programs leave in the files that they export, and files that are another program's own."""

import bz2
import io
import lzma

from data.faults import fault
from data.faults.sound import Sound, joined


@fault("not-a-table")
def compressed_with_bzip2(sound: Sound) -> bytes:
    return bz2.compress(sound.csv())


@fault("not-a-table")
def compressed_with_xz(sound: Sound) -> bytes:
    return lzma.compress(sound.csv())


@fault("not-a-table")
def pdf_of_the_table(sound: Sound) -> bytes:
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + sound.csv()


@fault("not-a-table")
def sqlite_database(sound: Sound) -> bytes:
    return b"SQLite format 3\x00" + bytes(84) + sound.csv()


@fault("not-a-table")
def feather_file(sound: Sound) -> bytes:
    import pandas as pd

    written = io.BytesIO()
    pd.DataFrame(sound.rows, columns=sound.names).to_feather(written)
    return written.getvalue()


@fault("not-a-table")
def pickled_frame(sound: Sound) -> bytes:
    import pickle

    return pickle.dumps({"columns": sound.names, "rows": sound.rows}, protocol=4)


@fault("encoding", lines=(1,))
def utf_32(sound: Sound) -> bytes:
    return sound.text().encode("utf-32")


@fault("not-a-table")
def dump_of_insert_statements(sound: Sound) -> bytes:
    rows = (", ".join(repr(cell) for cell in row) for row in sound.rows)
    return joined([f"INSERT INTO bank VALUES ({row});" for row in rows])


@fault("header", lines=(1,))
def line_that_names_the_delimiter(sound: Sound) -> bytes:
    return b"sep=,\r\n" + sound.csv()


@fault("delimiter", lines=(1,))
def table_of_a_text_page(sound: Sound) -> bytes:
    rule = ["---"] * len(sound.names)
    return joined([f"| {' | '.join(row)} |" for row in [sound.names, rule, *sound.rows]])


@fault("column-extra", column="Unnamed: 0", severity="warning", lines=(1,), reads_rows=True)
def index_of_a_frame(sound: Sound) -> bytes:
    sound.names.insert(0, "Unnamed: 0")
    for number, row in enumerate(sound.rows):
        row.insert(0, str(number))
    return sound.csv()


@fault("ragged-rows", lines=tuple(range(2, 22)))
def row_names_without_a_header(sound: Sound) -> bytes:
    for number, row in enumerate(sound.rows):
        row.insert(0, str(number + 1))
    return sound.csv()


@fault("type", column="euribor3m", lines=(5, 9), reads_rows=True)
def errors_of_a_spreadsheet(sound: Sound) -> bytes:
    return sound.set(5, "euribor3m", "#DIV/0!").set(9, "euribor3m", "#REF!").csv()


@fault("type", column="campaign", lines=(4, 8), reads_rows=True)
def numbers_that_became_dates(sound: Sound) -> bytes:
    return sound.set(4, "campaign", "02-Jan").set(8, "campaign", "2026-03-05").csv()


@fault("type", column="euribor3m", lines=tuple(range(2, 22)), reads_rows=True)
def percent_signs(sound: Sound) -> bytes:
    return sound.change("euribor3m", lambda value: f"{value}%").csv()


@fault("type", column="emp.var.rate", lines=(3, 7), reads_rows=True)
def minus_signs_of_a_typesetter(sound: Sound) -> bytes:
    return sound.set(3, "emp.var.rate", "\u22121.8").set(7, "emp.var.rate", "(1.8)").csv()


@fault("type", column="nr.employed", lines=(6,), reads_rows=True)
def space_that_does_not_break_between_thousands(sound: Sound) -> bytes:
    return sound.set(6, "nr.employed", "5\u00a0191.0").csv()
