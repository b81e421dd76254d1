"""Numbers with their nouns, the same wherever Pushline speaks: 1 row, 2 rows, 32,950 rows."""


def count(number: float) -> str:
    """A whole number with its thousands apart: 32,950."""
    return f"{number:,.0f}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun; `many` where the plural is more than an s."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
