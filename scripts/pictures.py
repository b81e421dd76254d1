"""Takes the pictures of the documentation from a real run: terminal, report, Swagger UI, job summary, and a screencast.

`make pictures` copies the checkout, delivers in the copy on a free port, and photographs what is there with Chromium. What the pages
held is kept beside the pictures, so that a test notices pictures of pages that are no more.
"""

import argparse
import fcntl
import html
import io
import itertools
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "pictures"
COLUMNS, ROWS = 100, 30
SUMMARIES = ("train", "register")  # the stages whose summaries are photographed together
WIDE = {"width": 1100, "height": 760}
COLOURS = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea", 90: "#8b949e"}
CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b[=>]")
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body{{margin:0;background:#0d1117;color:#e6edf3}}
pre{{margin:0;padding:26px 30px;font:16px/1.42 "DejaVu Sans Mono",monospace;white-space:pre}}
</style><pre>{text}</pre>"""
SUMMARY = """<!doctype html><meta charset="utf-8"><style>
body{{margin:0;padding:28px 36px;background:#fff;color:#1f2328;font:16px/1.5 system-ui,"DejaVu Sans",sans-serif;max-width:960px}}
h1,h2,h3{{line-height:1.25;margin:22px 0 12px}} h2{{border-bottom:1px solid #d1d9e0;padding-bottom:6px}}
table{{border-collapse:collapse;margin:10px 0 16px}} td,th{{border:1px solid #d1d9e0;padding:6px 13px;text-align:left}}
tr:nth-child(2n) td{{background:#f6f8fa}} code{{background:#eff1f3;border-radius:6px;padding:2px 5px;font-size:85%}}
</style>{body}"""


class Screen:
    """As much of a terminal as the commands here use: lines, colours, going up and wiping."""

    def __init__(self) -> None:
        self.lines: list[list[tuple[str, str]]] = [[]]
        self.row = self.column = 0
        self.style = ""

    def feed(self, text: str) -> None:
        at = 0
        for found in CONTROL.finditer(text):
            self.write(text[at : found.start()])
            self.obey(found[1] or "", found[2] or "")
            at = found.end()
        self.write(text[at:])

    def write(self, text: str) -> None:
        for sign in text:
            if sign == "\n":
                self.row += 1
                self.column = 0
                while len(self.lines) <= self.row:
                    self.lines.append([])
            elif sign == "\r":
                self.column = 0
            elif sign >= " ":
                line = self.lines[self.row]
                line += [(" ", "")] * (self.column + 1 - len(line))
                line[self.column] = (sign, self.style)
                self.column += 1

    def obey(self, numbers: str, letter: str) -> None:
        if letter == "m":
            self.colour([int(number or 0) for number in numbers.split(";")])
        elif letter == "K":
            self.lines[self.row] = [] if numbers == "2" else self.lines[self.row][: self.column]
        elif letter == "A":
            self.row = max(0, self.row - int(numbers or 1))
        elif letter == "B":
            self.row = min(len(self.lines) - 1, self.row + int(numbers or 1))

    def colour(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == 0:
                self.style = ""
            elif number == 1:
                self.style += "font-weight:bold;"
            elif number == 2:
                self.style += "color:#8b949e;"
            elif number in COLOURS:
                self.style += f"color:{COLOURS[number]};"

    def html(self) -> str:
        shown = []
        for line in self.lines[-ROWS:]:
            spans = "".join(f'<span style="{style}">{html.escape(sign)}</span>' if style else html.escape(sign) for sign, style in line)
            shown.append(spans)
        return TERMINAL.format(text="\n".join(shown).rstrip())


def recorded(command: list[str], folder: Path, environment: dict[str, str], said: str) -> Iterator[tuple[float, str]]:
    """Run a command on a terminal of its own; yields seconds since the start and the screen then. Raises where it fails."""
    screen, started, shown = Screen(), time.monotonic(), -1.0
    screen.feed(f"\x1b[32m$\x1b[0m {said}\n")
    yield 0.0, screen.html()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, environment)  # noqa: S606 - the project's own command
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        try:
            data = os.read(terminal, 65536) if ready else b""
        except OSError:
            break
        if ready and not data:
            break
        screen.feed(data.decode(errors="replace"))
        now = time.monotonic() - started
        if data and now - shown > 0.7:
            shown = now
            yield now, screen.html()
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"error: {said} failed\n{re.sub('<[^>]+>', '', screen.html())}")
    yield time.monotonic() - started, screen.html()


class Camera:
    """Photographs pages, and keeps the frames of the screencast."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[tuple[bytes, float]] = []

    def show(self, content: str) -> None:
        self.page.set_content(content)

    def frame(self, seconds: float) -> None:
        self.frames.append((self.page.screenshot(), seconds))

    def picture(self, name: str, *, quality: int = 82) -> None:
        save(self.page.screenshot(), OUT / name, quality)


def save(png: bytes, file: Path, quality: int) -> None:
    from PIL import Image

    Image.open(io.BytesIO(png)).convert("RGB").save(file, "WEBP", quality=quality, method=6)


def save_film(frames: list[tuple[bytes, float]], file: Path) -> None:
    from PIL import Image

    pictures = [Image.open(io.BytesIO(png)).convert("RGB").resize((880, 608), Image.Resampling.LANCZOS) for png, _ in frames]
    times = [int(seconds * 1000) for _, seconds in frames]
    pictures[0].save(file, "WEBP", save_all=True, append_images=pictures[1:], duration=times, loop=1, quality=55, method=6)


def copied(to: Path) -> None:
    """The files that git knows, without what runs have left."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    git = ["git", "-c", "user.name=Pictures", "-c", "user.email=pictures@example.invalid"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run([*git, *arguments], cwd=to, check=True, capture_output=True)


def contents(build: Path, service: str) -> dict[str, list[str]]:
    """What the photographed pages hold, in their order: sections of report and summary, operations of the service."""
    report = (build / "report.html").read_text(encoding="utf-8")
    summary = "\n".join((build / stage / "summary.md").read_text(encoding="utf-8") for stage in SUMMARIES)
    with urllib.request.urlopen(f"{service}/openapi.json", timeout=10) as answer:  # noqa: S310 - on loopback
        paths = json.load(answer)["paths"]
    return {
        "report": [html.unescape(heading) for heading in re.findall(r"<h2[^>]*>([^<]+)", report)],
        "summary": re.findall(r"^##+ (.+)$", summary, flags=re.MULTILINE),
        "docs": [f"{method.upper()} {path}" for path, operations in paths.items() for method in operations],
    }


def summary_of(build: Path) -> str:
    from markdown_it import MarkdownIt

    text = "\n\n".join((build / stage / "summary.md").read_text(encoding="utf-8") for stage in SUMMARIES)
    text = re.sub(r"^```mermaid\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)  # GitHub draws these, this page can't
    return SUMMARY.format(body=MarkdownIt("commonmark").enable("table").render(text))


def take(folder: Path, budget: str) -> None:
    environment = {**os.environ, "PUSHLINE_SERVING__PORT": "0", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment.pop("NO_COLOR", None)
    from playwright.sync_api import sync_playwright

    browser_file = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_file is None:
        raise SystemExit("error: no Chromium on this machine\nRun: sudo apt-get install -y chromium")
    command = ["pushline", "run", "--sample-if-offline", "--budget", budget]
    frames = list(recorded(command, folder, environment, " ".join(command)))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
            camera = Camera(browser.new_page(viewport=WIDE, color_scheme="light"))
            film(camera, frames, folder, environment)
            browser.close()
    finally:
        subprocess.run(["pushline", "stop"], cwd=folder, env=environment, check=False, capture_output=True)


def film(camera: Camera, frames: list[tuple[float, str]], folder: Path, environment: dict[str, str]) -> None:
    """All pictures in the order of a first run; the run itself is shown eight times as fast as it was."""
    after = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(frames)]
    for (_, content), seconds in zip(frames, [*after, 20.0], strict=True):
        camera.show(content)
        camera.frame(min(max(seconds / 8, 0.08), 2.5))
    camera.page.set_viewport_size({"width": 1100, "height": 420})
    camera.picture("run.webp")
    camera.page.set_viewport_size(WIDE)
    said = subprocess.run(["pushline", "status", "--json"], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    live = json.loads(said.stdout)["live"]["url"]
    swagger(camera, live, json.loads((folder / ".pushline" / "keys.json").read_text())["primary"])
    camera.page.goto((folder / "build" / "report.html").as_uri())
    camera.picture("report.webp")
    for part in range(9):
        camera.frame(1.6 if part == 0 else 0.7)
        camera.page.mouse.wheel(0, 560)
        camera.page.wait_for_timeout(120)
    camera.page.goto("about:blank")  # the report forbids styles that are not its own
    camera.page.set_viewport_size({"width": 900, "height": 1160})
    camera.show(summary_of(folder / "build"))
    camera.picture("summary.webp")
    save_film(camera.frames, OUT / "screencast.webp")
    held = json.dumps(contents(folder / "build", live), indent=2, ensure_ascii=False)
    (OUT / "contents.json").write_text(held + "\n", encoding="utf-8")


def swagger(camera: Camera, live: str, key: str) -> None:
    """A person tries the service out; the key is filled in where nobody sees it."""
    page = camera.page
    page.goto(f"{live}/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").fill(key)
    page.locator(".auth-btn-wrapper button.authorize").click()
    page.locator(".auth-btn-wrapper button.btn-done").click()
    camera.frame(1.6)
    camera.picture("docs-page.webp")
    score = page.locator(".opblock-post")
    score.locator(".opblock-summary").click()
    camera.frame(1.2)
    score.get_by_role("button", name="Try it out").click()
    score.get_by_role("button", name="Execute").click()
    answer = score.locator(".live-responses-table .response").first
    answer.wait_for(timeout=15_000)
    page.evaluate("document.querySelectorAll('.curl-command').forEach((shown) => shown.remove())")  # it holds the key
    answer.scroll_into_view_if_needed()
    camera.frame(2.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", default="30s", help="time of the training that is photographed")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bank"
        copied(folder)
        take(folder, options.budget)
    total = 0
    for file in sorted(OUT.iterdir()):
        total += file.stat().st_size
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1000:,.0f} kB")
    print(f"{total / 1000:,.0f} kB in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
