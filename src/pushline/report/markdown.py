"""Markdown for job summaries: tables, flows and charts, with foreign text made harmless."""

import re
from collections.abc import Iterable, Sequence

from pushline.report.figures import visible

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$@:])")
PLAIN = re.compile(r"[^\w .,%/+-]")  # what mermaid might read as its own
# GitHub's job summary holds 1 MiB; a table longer than this helps nobody.
ROWS = 60
# The default lines are all but white.
STROKES = (
    '%%{init: {"xyChart": {"width": 720, "height": 320}, "themeVariables": {"xyChart": {"plotColorPalette": "#78a6d8,#1d5fa8,#b4460f"}}}}%%'
)
FILLS = {
    "done": "fill:#d7efe3,stroke:#1b7f5a,color:#0b3d2a",
    "refused": "fill:#fbe3c8,stroke:#b45309,color:#5c2b04",
    "failed": "fill:#fbd9d9,stroke:#b42323,color:#5c0f0f",
    "interrupted": "fill:#fbd9d9,stroke:#b42323,color:#5c0f0f",
    "stale": "fill:#eeeeee,stroke:#777777,color:#333333,stroke-dasharray:4",
    "running": "fill:#dbe8fb,stroke:#2456a6,color:#10284f",
    "notrun": "fill:#ffffff,stroke:#999999,color:#555555,stroke-dasharray:4",
}


def text(foreign: object, limit: int = 300) -> str:
    """Foreign text as text: no markup, no HTML, no mention, no link of it comes alive."""
    written = visible(foreign, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", written)


def code(foreign: object, limit: int = 300) -> str:
    """Foreign text as code, whatever backticks it holds; a bar inside is escaped for tables."""
    written = visible(foreign, limit).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", written)), default=0) + 1)
    space = " " if written.startswith("`") or written.endswith("`") or not written else ""
    return f"{fence}{space}{written}{space}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], figures: Sequence[int] = ()) -> str:
    """A table; the columns of `figures` (from 0) are right-aligned. Cells are Markdown already."""
    rule = ["--:" if position in figures else "---" for position in range(len(head))]
    body = list(rows)
    lines = [f"| {' | '.join(row)} |" for row in (head, rule, *body[:ROWS])]
    more = f"\n\n{len(body) - ROWS} more rows are in result.json." if len(body) > ROWS else ""
    return "\n".join(lines) + more


def fold(title: str, body: str) -> str:
    """A part that opens on a click."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def flow(stages: Sequence[tuple[str, str, str]]) -> str:
    """The stages as a mermaid flow: name, state (of report.states) and the words below the name."""
    lines = ["```mermaid", "flowchart LR"]
    for position, (name, state, words) in enumerate(stages):
        below = PLAIN.sub("", words)
        kind = state.replace(" ", "")
        lines.append(f'    s{position}["<b>{name}</b><br/>{below}"]:::{kind}')
    lines.append("    " + " --> ".join(f"s{position}" for position in range(len(stages))))
    used = {state.replace(" ", "") for _, state, _ in stages}
    lines += [f"    classDef {kind} {style}" for kind, style in FILLS.items() if kind in used]
    return "\n".join([*lines, "```"])


def chart(title: str, x: tuple[str, float, float], y: tuple[str, float, float], lines: Sequence[Sequence[float]]) -> str:
    """A mermaid chart of lines over an even x axis; each axis is its title, its start and its end."""
    drawn = [f"    line [{', '.join(f'{value:.4g}' for value in line)}]" for line in lines]
    axes = [f'    {axis}-axis "{words}" {start:.4g} --> {end:.4g}' for axis, (words, start, end) in (("x", x), ("y", y))]
    return "\n".join(["```mermaid", STROKES, "xychart-beta", f'    title "{title}"', *axes, *drawn, "```"])
