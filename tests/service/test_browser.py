"""/docs in a real browser: a person authorizes, tries it out, and gets a score; no other host is asked."""

from collections.abc import Iterator
from typing import Any

import pytest

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


def test_the_docs_page_is_dark_where_the_reader_wants_it_dark(service: Service, page: Any) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    page.emulate_media(color_scheme="dark")
    page.goto(service.url + "/docs")
    page.wait_for_selector(".opblock-post")
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html:not(.dark-mode)")
    assert dark != page.evaluate(background)
