"""Files whose values are of the right type and still wrong."""

from data.faults import fault
from data.faults.sound import Sound

ALL = tuple(range(2, 22))


@fault("range", column="age", lines=(9, 33), reads_rows=True)
def negative_age(sound: Sound) -> bytes:
    return sound.set(9, "age", "-41").set(33, "age", "-1").csv()


@fault("range", column="nr.employed", lines=ALL, reads_rows=True)
def another_unit(sound: Sound) -> bytes:
    return sound.change("nr.employed", lambda value: str(float(value) * 1000)).csv()


@fault("allowed", column="job", lines=(9,), reads_rows=True)
def unknown_category(sound: Sound) -> bytes:
    return sound.set(9, "job", "astronaut").csv()


@fault("allowed", column="contact", lines=ALL, reads_rows=True)
def capitals_in_a_category(sound: Sound) -> bytes:
    return sound.change("contact", str.capitalize).csv()


@fault("allowed", column="poutcome", lines=ALL, reads_rows=True)
def trailing_space_in_a_category(sound: Sound) -> bytes:
    return sound.change("poutcome", lambda value: value + " ").csv()


@fault("allowed", column="y", lines=ALL, reads_rows=True)
def label_values_changed(sound: Sound) -> bytes:
    return sound.change("y", lambda value: {"yes": "1", "no": "0"}[value]).csv()


@fault("missing-values", column="y", lines=(5, 6), reads_rows=True)
def label_empty_in_some_rows(sound: Sound) -> bytes:
    return sound.set(5, "y", "").set(6, "y", "").csv()


@fault("missing-values", column="education", lines=(100, 101, 102), reads_rows=True)
def values_missing(sound: Sound) -> bytes:
    for line in (100, 101, 102):
        sound.set(line, "education", "")
    return sound.csv()


@fault("missing-values", column="duration", lines=ALL, reads_rows=True)
def column_empty(sound: Sound) -> bytes:
    return sound.change("duration", lambda value: "").csv()


@fault("class-balance", column="y", reads_rows=True)
def one_class_only(sound: Sound) -> bytes:
    return sound.where("y", lambda value: value == "no").csv()


@fault("unknown-values", column="education", severity="warning", reads_rows=True)
def column_all_unknown(sound: Sound) -> bytes:
    return sound.change("education", lambda value: "unknown").csv()


@fault("constant", column="month", severity="warning", reads_rows=True)
def column_constant(sound: Sound) -> bytes:
    return sound.change("month", lambda value: "may").csv()


@fault("pdays-needs-previous", column="pdays", lines=(10,), reads_rows=True)
def rule_across_columns_broken(sound: Sound) -> bytes:
    return sound.set(10, "pdays", "6").set(10, "previous", "0").set(10, "poutcome", "nonexistent").csv()


@fault("loans-unknown-together", column="housing", severity="warning", lines=(10,), reads_rows=True)
def rule_of_lesser_severity_broken(sound: Sound) -> bytes:
    return sound.set(10, "housing", "unknown").set(10, "loan", "no").csv()


@fault("spelling", lines=ALL, reads_rows=True)
def capitals_everywhere(sound: Sound) -> bytes:
    sound.rows = [[value.upper() for value in row] for row in sound.rows]
    return sound.csv()


@fault("spelling", lines=ALL, reads_rows=True)
def single_quotes_around_text(sound: Sound) -> bytes:
    sound.rows = [[f"'{value}'" if value[0].isalpha() else value for value in row] for row in sound.rows]
    return sound.csv()


@fault("column-renamed", lines=(1,), reads_rows=True, most=2)
def space_after_each_comma(sound: Sound) -> bytes:
    return sound.text().replace(",", ", ").encode()


@fault("broken-rows", lines=(700, 900), reads_rows=True)
def two_rows_shifted(sound: Sound) -> bytes:
    for line in (700, 900):
        row = sound.rows[line - 2]
        sound.rows[line - 2] = [*row[3:], *row[:3]]
    return sound.csv()


@fault("broken-rows", lines=(2002,), reads_rows=True)
def total_below_the_rows(sound: Sound) -> bytes:
    sound.rows.append(["Total", *[""] * (len(sound.names) - 1)])
    return sound.csv()


@fault("header-repeated", lines=(1000,), reads_rows=True)
def header_again_in_the_middle(sound: Sound) -> bytes:
    sound.rows.insert(998, list(sound.names))
    return sound.csv()


@fault("misplaced-values", lines=ALL, reads_rows=True)
def values_shifted_by_one_column(sound: Sound) -> bytes:
    sound.rows = [[*row[1:], row[0]] for row in sound.rows]
    return sound.csv()


@fault("label-share", column="y", reads_rows=True)
def labels_swapped(sound: Sound) -> bytes:
    return sound.change("y", lambda value: {"yes": "no", "no": "yes"}[value]).csv()


@fault("label-share", column="y", severity="warning", reads_rows=True)
def a_class_more_frequent_than_it_was(sound: Sound) -> bytes:
    kept = [row for number, row in enumerate(sound.rows) if row[sound.names.index("y")] == "yes" or number % 2]
    return Sound(sound.names, kept).csv()


@fault("decides-label", column="contact", reads_rows=True)
def a_column_filled_in_after_the_outcome(sound: Sound) -> bytes:
    label, contact = sound.names.index("y"), sound.names.index("contact")
    for row in sound.rows:
        row[contact] = "cellular" if row[label] == "yes" else "telephone"
    return sound.csv()
