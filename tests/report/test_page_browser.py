"""The report in a real browser: it asks for nothing, complains of nothing, fits a phone and can be read in both schemes."""

from pathlib import Path
from typing import Any

import pytest

import web
from pushline.project import Project
from pushline.report.page import write_report
from report.delivery_made import leave_case

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# The lowest contrast of any text against what is painted behind it, with the text it belongs to.
CONTRAST = """() => {
  const channels = (text) => {
    const numbers = text.match(/-?[\\d.]+/g).map(Number);
    const scale = text.startsWith('color(') ? 255 : 1;
    return [numbers[0] * scale, numbers[1] * scale, numbers[2] * scale, numbers.length > 3 ? numbers[3] : 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => [0, 1, 2].map((i) => c[i] / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(channels(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  let worst = {ratio: 99, text: ''};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || element.closest('.hidden') || ['title', 'desc', 'STYLE'].includes(element.tagName)) continue;
    const style = getComputedStyle(element), back = behind(element);
    const front = over(channels(element.closest('svg') ? style.fill : style.color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst.ratio) worst = {ratio, text};
  }
  return worst;
}"""


# What stands where it can't be read: text outside the page, text cut off, and text over other text of the same plot or cell beside it.
# What lies in a box that scrolls may be out of sight, but not cut off there.
MISPLACED = """(width) => {
  const found = [], seen = (e) => e.checkVisibility && e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true});
  const words = (e) => e.textContent.trim().slice(0, 40);
  const all = 'p, h1, h2, h3, li, dt, dd, td, th, figcaption, text'.split(', ').map((kind) => 'main ' + kind).join();
  for (const e of document.querySelectorAll(all)) {
    if (!seen(e) || e.closest('.hidden, thead.hidden, caption') || !words(e)) continue;
    const box = e.getBoundingClientRect(), scrolls = e.closest('.scroll, pre');
    if (box.width < 2) continue;
    if (!scrolls && (box.left < -0.5 || box.right > width + 0.5)) found.push('outside: ' + words(e));
    const style = getComputedStyle(e);
    const wider = e.scrollWidth > e.clientWidth + 1;
    if (wider && style.overflowX !== 'visible' && style.textOverflow !== 'ellipsis') found.push('cut off: ' + words(e));
    if (wider && e.tagName !== 'text' && e.children.length === 0) found.push('wider than its place: ' + words(e));
    const letters = words(e).replace(/\\s+/g, '').length;
    if (letters > 8 && box.width < 24) found.push('letter by letter: ' + words(e));
  }
  for (const plot of document.querySelectorAll('svg.plot')) {
    if (!seen(plot)) continue;
    const texts = [...plot.querySelectorAll('text')].map((t) => [t, t.getBoundingClientRect()]);
    texts.forEach(([one, a], i) => texts.slice(i + 1).forEach(([other, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 3) found.push('one over the other: ' + words(one) + ' / ' + words(other));
    }));
    for (const axis of ['start', 'middle', 'end']) {
      const ticks = [...plot.querySelectorAll('text.tick')].filter((t) => t.getAttribute('text-anchor') === axis).map(words);
      if (new Set(ticks).size < ticks.length) found.push('ticks alike: ' + ticks.join(' '));
    }
  }
  return found;
}"""
CASES = ("two classes", "six classes", "twenty classes", "a quantity", "400 columns")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page for each case, all of them with cautions and a drift, made of a project with a profile where there is one column a value."""
    made = {}
    for name in CASES:
        root = tmp_path_factory.mktemp("report")
        leave_case(root, name)
        made[name] = write_report(Project(root))
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("case", CASES)
def test_the_report_is_quiet_fits_and_can_be_read(browser: Any, reports: dict[str, Path], case: str, scheme: str, width: int) -> None:
    report = reports[case]
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(MISPLACED, width) == []
    assert page.locator("h1").inner_text() == "Version 3 is live"
    worst = page.evaluate(CONTRAST)
    assert worst["ratio"] >= 4.5, worst
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(int(part) for part in dark[4:-1].split(",")) < 200) == (scheme == "dark")
    first_screen = page.locator(".banner").last.bounding_box()
    assert first_screen is not None
    assert first_screen["y"] + first_screen["height"] <= 844, "what to look at first is on the first screen"
    context.close()


@pytest.mark.parametrize(
    ("case", "scheme", "width"),
    [*((case, "light", 390) for case in CASES[:4]), ("two classes", "dark", 1280), ("400 columns", "dark", 390)],
)
def test_a_screen_reader_and_a_keyboard_find_their_way_through_the_report(
    browser: Any, reports: dict[str, Path], case: str, scheme: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(reports[case].as_uri())
    assert web.axe(page, "best-practice") == []
    page.close()


def test_another_threshold_says_what_it_picks_misses_and_costs(browser: Any, reports: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(reports["two classes"].as_uri())
    (slider, price), output = page.locator(".threshold input").all(), page.locator(".threshold output")
    assert output.inner_text().startswith("At 0.2"), "the chosen threshold comes first"
    slider.focus()
    page.keyboard.press("Home")
    few = output.inner_text()
    page.keyboard.press("End")
    assert "1,000 of 1,000 rows are picked" in output.inner_text()
    assert "0 are missed" in output.inner_text()
    before = output.inner_text().partition("the cheapest")[2]
    price.fill("20")
    after = output.inner_text().partition("the cheapest")[2]
    assert few != output.inner_text()
    assert before != after, "where a miss costs more, another threshold is the cheapest"
    page.close()


def test_a_page_of_400_columns_is_not_longer_than_a_page_of_12(browser: Any, reports: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844})
    heights = []
    for case in ("two classes", "400 columns"):
        page.goto(reports[case].as_uri())
        heights.append(page.evaluate("document.documentElement.scrollHeight"))
    assert heights[1] < 1.5 * heights[0]
    assert reports["400 columns"].stat().st_size < 2_500_000
    page.close()


def test_the_text_of_a_plot_keeps_its_size_on_a_phone(browser: Any, reports: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(reports["six classes"].as_uri())
    heights = page.evaluate("[...document.querySelectorAll('.plot text')].map((t) => t.getBoundingClientRect().height)")
    assert min(heights) >= 10
    page.close()
