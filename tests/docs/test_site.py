"""The documentation as a site in a real browser: it builds, fits a phone and a desktop, asks no other host, and can be searched."""

import functools
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import web

WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def site(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` does it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(repo / "docs", folder / "docs")
    shutil.copy(repo / "zensical.toml", folder)
    program = Path(sys.executable).parent / "zensical"
    built = subprocess.run([program, "build", "--strict"], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


@pytest.mark.slow
def test_every_page_becomes_one_of_the_site(repo: Path, site: Path) -> None:
    pages = {page.relative_to(repo / "docs").with_suffix(".html") for page in (repo / "docs").rglob("*.md")}
    assert pages <= {page.relative_to(site) for page in site.rglob("*.html")}


def test_the_pictures_are_small(repo: Path) -> None:
    pictures = sorted((repo / "docs" / "pictures").iterdir())
    assert {"run.webp", "report.webp", "docs-page.webp", "summary.webp", "screencast.webp"} <= {file.name for file in pictures}
    assert sum(file.stat().st_size for file in pictures) < 1_500_000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """What was asked is seen in the browser."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.browser
@pytest.mark.slow
def test_every_page_fits_a_phone_and_a_desktop_and_asks_no_other_host(site: Path, address: str, browser: Any) -> None:
    page = browser.new_page()
    outside: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: None if request.url.startswith((address, "data:", "blob:")) else outside.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    for file in sorted(site.rglob("*.html")):
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="light")
        page.goto(f"{address}/{file.relative_to(site).as_posix()}", wait_until="load")
        assert page.evaluate(WIDTH) <= 390, file.name
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 1280, "height": 844})
        assert page.evaluate(WIDTH) <= 1280, file.name
    assert outside == []
    assert said == []
    page.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), [("settings.html", 1280), ("index.html", 390)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_as_light_or_dark_as_its_reader_wants_it_and_accessible(
    address: str, browser: Any, scheme: str, name: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(f"{address}/{name}", wait_until="load")
    seen = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in seen[4:-1].split(",")[:3]) < 300) == (scheme == "dark")
    assert web.axe(page) == []
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_the_search_finds_a_page_without_a_network(address: str, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844})
    page.goto(address + "/index.html")
    page.keyboard.press("/")
    page.keyboard.type("rollback")
    page.get_by_role("link", name="Releases").first.wait_for(timeout=60_000)
    page.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("start", ["index.html", "bench/automl.html"])
def test_the_search_finds_a_page_in_a_site_that_is_opened_from_its_folder(site: Path, browser: Any, start: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844})
    outside: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else outside.append(request.url))
    page.goto((site / start).as_uri())
    page.keyboard.press("/")
    page.keyboard.type("rollback")
    page.get_by_role("link", name="Releases").first.wait_for(timeout=60_000)
    assert outside == []
    page.close()
