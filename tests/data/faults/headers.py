"""Files whose header is not the contract's."""

from data.faults import fault
from data.faults.sound import Sound


@fault("delimiter", lines=(1,))
def wrong_delimiter(sound: Sound) -> bytes:
    return sound.csv(";")


@fault("delimiter", lines=(1,))
def tabs_between_fields(sound: Sound) -> bytes:
    return sound.csv("\t")


@fault("delimiter", lines=(1,))
def semicolons_and_decimal_commas(sound: Sound) -> bytes:
    return sound.text(";").replace(".", ",").encode()


@fault("no-rows", lines=(1,))
def header_only(sound: Sound) -> bytes:
    sound.rows = []
    return sound.csv()


@fault("header-missing", lines=(1,))
def headerless(sound: Sound) -> bytes:
    return sound.csv(header=False)


@fault("header", lines=(1,))
def another_table(sound: Sound) -> bytes:
    return b"sepal_length,sepal_width,species\n5.1,3.5,setosa\n4.9,3.0,setosa\n"


@fault("header", lines=(1,))
def title_above_the_header(sound: Sound) -> bytes:
    return b"Bank marketing campaign; export of 3 May\r\n" + sound.csv()


@fault("column-renamed", column="marital", lines=(1,), reads_rows=True)
def column_renamed(sound: Sound) -> bytes:
    sound.names[sound.names.index("marital")] = "marital_status"
    return sound.csv()


@fault("column-renamed", column="job", lines=(1,), reads_rows=True)
def header_with_spaces_and_capitals(sound: Sound) -> bytes:
    sound.names[sound.names.index("job")] = " Job"
    return sound.csv()


@fault("column-renamed", column="y", lines=(1,), reads_rows=True)
def label_renamed(sound: Sound) -> bytes:
    sound.names[-1] = "subscribed"
    return sound.csv()


@fault("column-missing", column="poutcome", lines=(1,), reads_rows=True)
def column_missing(sound: Sound) -> bytes:
    return without(sound, "poutcome").csv()


@fault("column-missing", column="y", lines=(1,), reads_rows=True)
def label_missing(sound: Sound) -> bytes:
    return without(sound, "y").csv()


@fault("column-missing", column=None, lines=(1,), reads_rows=True)
def six_columns_missing(sound: Sound) -> bytes:
    for name in ("age", "marital", "contact", "month", "campaign", "euribor3m"):
        without(sound, name)
    return sound.csv()


@fault("column-extra", column="customer", severity="warning", lines=(1,), reads_rows=True)
def column_extra(sound: Sound) -> bytes:
    sound.names.insert(0, "customer")
    for number, row in enumerate(sound.rows):
        row.insert(0, str(number))
    return sound.csv()


@fault("column-order", severity="warning", reads_rows=True)
def columns_reordered(sound: Sound) -> bytes:
    sound.names.reverse()
    for row in sound.rows:
        row.reverse()
    return sound.csv()


@fault("column-duplicate", column="age", lines=(1,))
def header_with_a_name_twice(sound: Sound) -> bytes:
    sound.names[sound.names.index("campaign")] = "age"
    return sound.csv()


def without(sound: Sound, name: str) -> Sound:
    position = sound.names.index(name)
    del sound.names[position]
    for row in sound.rows:
        del row[position]
    return sound
