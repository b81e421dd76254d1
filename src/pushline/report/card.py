"""A model card, Markdown as training wrote it, as HTML that brings nothing in and reaches nothing outside."""

import re
from pathlib import Path

from markupsafe import Markup

from pushline.report.figures import visible

FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)  # the model-index for machines


def card_html(markdown: str) -> Markup:
    """HTML of the card: no raw HTML, no picture, headings below the page's own, tables in their own box."""
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "html_block", "html_inline"])
    lines = FRONT.sub("", markdown).split("\n")
    tokens = renderer.parse("\n".join(visible(line, len(line) * 12) for line in lines))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + 2, 6)}"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "noreferrer")
    html = renderer.renderer.render(tokens, renderer.options, {})
    boxed = html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    return Markup(boxed.replace(' style="text-align:right"', ' class="n"').replace(' style="text-align:left"', ""))  # noqa: S704 - rendered above


def read_card(path: str, build: Path) -> Markup | None:
    """The card a training left, where it is still there."""
    for place in (Path(path), build / "train" / "card.md"):
        if place.is_file():
            return card_html(place.read_text(encoding="utf-8", errors="replace"))
    return None
