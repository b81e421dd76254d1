"""Files whose rows can't be told apart into the header's columns, or are too few."""

from data.faults import fault
from data.faults.sound import Sound, joined


@fault("ragged-rows", lines=(11, 60), reads_rows=True)
def row_too_short(sound: Sound) -> bytes:
    lines = sound.lines()
    for line in (11, 60):
        lines[line - 1] = lines[line - 1].rsplit(",", 1)[0]
    return joined(lines)


@fault("ragged-rows", lines=(11,), reads_rows=True)
def row_too_long(sound: Sound) -> bytes:
    lines = sound.lines()
    lines[10] += ",no"
    return joined(lines)


@fault("ragged-rows", lines=tuple(range(2, 22)))
def every_row_too_long(sound: Sound) -> bytes:
    lines = sound.lines()
    return joined([lines[0], *(line + ",no" for line in lines[1:])])


@fault("quotes", lines=(30,))
def quote_never_closed(sound: Sound) -> bytes:
    lines = sound.lines()
    lines[29] = lines[29].replace(",", ',"', 1)
    return joined(lines)


@fault("decimal-comma", lines=tuple(range(2, 22)))
def decimal_commas_between_commas(sound: Sound) -> bytes:
    for name in ("emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m", "nr.employed"):
        sound.change(name, lambda value: value.replace(".", ","))
    return "\n".join([",".join(sound.names), *(",".join(row) for row in sound.rows)]).encode()


@fault("rows", reads_rows=True)
def too_few_rows(sound: Sound) -> bytes:
    sound.rows = sound.rows[:40]
    return sound.csv()


@fault("rows", reads_rows=True)
def a_single_row_without_a_line_end(sound: Sound) -> bytes:
    sound.rows = sound.rows[:1]
    return sound.csv().rstrip()


@fault("duplicates", severity="warning", lines=tuple(range(2002, 2022)), reads_rows=True)
def rows_repeated(sound: Sound) -> bytes:
    sound.rows += sound.rows[:400]
    return sound.csv()


@fault("allowed", column="job", lines=(7, 11), reads_rows=True)
def newline_within_a_quoted_field(sound: Sound) -> bytes:
    """Line 7's row takes two lines, so that every row behind it stands one line lower."""
    return sound.set(7, "job", "tech\nnician").set(10, "job", "tech nician").csv()


@fault("allowed", column="job", lines=(14,), reads_rows=True)
def blank_lines_between_rows(sound: Sound) -> bytes:
    lines = sound.set(12, "job", "poet").lines()
    return joined([*lines[:5], "", "", *lines[5:]])


@fault("ragged-rows", lines=(5,), reads_rows=True, most=2)
def ragged_row_above_a_wrong_value(sound: Sound) -> bytes:
    lines = sound.set(12, "job", "poet").lines()
    lines[4] += ",no"
    return joined(lines)
