"""/docs in a real browser: a person authorizes, tries it out, and gets a score; no other host is asked."""

from collections.abc import Iterator
from typing import Any

import pytest

import web
from service_made import Service

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page()
    yield opened
    opened.close()


def test_a_person_gets_a_score_from_the_docs_page(service: Service, page: Any) -> None:
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(service.url + "/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").fill(service.key)
    page.locator(".auth-btn-wrapper button.authorize").click()
    page.locator(".auth-btn-wrapper button.btn-done").click()
    score = page.locator(".opblock-post")
    score.locator(".opblock-summary").click()
    score.get_by_role("button", name="Try it out").click()
    score.get_by_role("button", name="Execute").click()
    answer = score.locator(".live-responses-table .response").first
    answer.wait_for(timeout=60_000)
    text = answer.inner_text()
    assert "200" in text
    assert '"result"' in text
    assert '"probability"' in text
    assert "x-model-version: 7" in text
    outside = [url for url in asked if not url.startswith((service.url, "data:", "blob:"))]
    assert not outside
    assert not faults


# Text outside the page or cut off, but for what lies in a box that scrolls.
MISPLACED = """(width) => [...document.querySelectorAll('#swagger-ui *')].filter((e) => {
  const box = e.getBoundingClientRect(), style = (one) => getComputedStyle(one).overflowX;
  if (!e.checkVisibility() || box.width < 2 || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) return false;
  for (let up = e; up; up = up.parentElement) if (/auto|scroll/.test(style(up))) return false;
  return box.left < -0.5 || box.right > width + 0.5 || (e.scrollWidth > e.clientWidth + 1 && style(e) !== 'visible');
}).map((e) => e.textContent.trim().slice(0, 40))"""


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("light", 390), ("dark", 390)])
def test_the_docs_page_fits_can_be_read_and_is_accessible(service: Service, browser: Any, scheme: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)  # axe is no script of the page
    page.goto(service.url + "/docs")
    page.wait_for_selector(".opblock-post")
    for which in (".opblock-post", ".opblock-get >> nth=0"):  # the others are like it
        page.locator(f"{which} >> .opblock-summary-control").focus()
        page.keyboard.press("Enter")
    score = page.locator(".opblock-post")
    score.get_by_role("button", name="Try it out").click()
    score.get_by_role("button", name="Execute").click()
    score.locator(".live-responses-table .response").first.wait_for(timeout=15_000)
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(MISPLACED, width) == []
    assert web.axe(page) == []
    page.close()


def test_the_docs_page_is_dark_where_the_reader_wants_it_dark(service: Service, page: Any) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    page.emulate_media(color_scheme="dark")
    page.goto(service.url + "/docs")
    page.wait_for_selector(".opblock-post")
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html:not(.dark-mode)")
    assert dark != page.evaluate(background)
