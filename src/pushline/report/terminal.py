"""A summary as lines for a terminal: the Markdown of a result, read again and set in columns. No fact is put into words twice."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

WIDEST = 120  # characters of a table's line; the rows of a wider one are told one by one
LEFT_OUT = re.compile(r"\A## [^\n]*|<details>.*?</details>|<sub>.*?</sub>", re.DOTALL)
ALERT = re.compile(r"\[!(\w+)\]\s*")


def lines_of_markdown(markdown: str) -> list[str]:
    """One line for each fact; the command's own name, pictures, small print and what opens on a click are left out."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(LEFT_OUT.sub("", markdown))
    return list(lines_of_tokens(tokens))


def lines_of_tokens(tokens: "list[Token]") -> Iterator[str]:
    rows: list[list[str]] = []
    right: list[bool] = []
    quoted = listed = started = False
    for token in tokens:
        match token.type:
            case "heading_open" if started:
                yield ""
            case "tr_open":
                rows.append([])
            case "th_open":
                right.append("right" in str(token.attrGet("style")))
            case "blockquote_open" | "blockquote_close":
                quoted = token.nesting == 1
            case "list_item_open" | "list_item_close":
                listed = token.nesting == 1
            case "table_close":
                yield from set_in_columns(rows, right)
                rows, right = [], []
            case "inline" if rows:
                rows[-1].append(words_of(token).replace("\n", " "))
            case "inline":
                started = True
                said = ALERT.sub("warning: ", words_of(token)) if quoted else words_of(token)
                yield from (f"  {line}" if listed else line for line in said.splitlines() if line)


def words_of(inline: "Token") -> str:
    """The text of a paragraph or a cell without its markup."""
    breaks = {"softbreak": "\n", "hardbreak": "\n", "html_inline": ""}
    parts = ((child, breaks.get(child.type, child.content)) for child in inline.children or ())
    return "".join("\n" if child.content == "<br>" else part for child, part in parts).strip()


def set_in_columns(rows: list[list[str]], right: list[bool]) -> Iterator[str]:
    """The rows of a table, its head first unless that is empty: numbers to the right; where that is too wide, each row with its heads."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * len(widths) <= WIDEST:
        for row in rows if any(rows[0]) else rows[1:]:
            cells = zip(row, widths, right, strict=True)
            yield "  " + "  ".join(cell.rjust(width) if figures else cell.ljust(width) for cell, width, figures in cells).rstrip()
        return
    widest = widths.index(max(widths)) + 1
    for row in rows[1:]:
        yield ": ".join(cell for cell in row[:widest] if cell)
        if rest := [f"{head} {cell}" for head, cell in zip(rows[0][widest:], row[widest:], strict=True) if cell]:
            yield f"  {'; '.join(rest)}"
