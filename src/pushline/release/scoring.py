"""Asking the live release, whatever the target: scores for a file of rows, and its API document."""

import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from pushline.errors import DataError, TargetError
from pushline.release.asking import Answer, Client
from pushline.release.target import Endpoint, Target
from pushline.serving.pages import pages_of
from pushline.wording import counted

SHOWN_ERRORS = 5
SHOWN_CLASSES = 3


def live_of(target: Target) -> Endpoint:
    """The live release. Raises TargetError where there is none."""
    live = target.status().live
    if live is None:
        raise TargetError(
            f"Nothing is live on the target {target.name}.",
            why="No release was promoted, or it was stopped.",
            do="`pushline run` delivers one; `pushline serve` runs the champion in the foreground.",
        )
    return live


def score_file(target: Target, file: Path) -> dict[str, Any]:
    """The answer of the live release to `{"data": [rows]}`, or to a bare list of rows, in a file.

    Raises DataError where the file is not that or its rows are refused, TargetError where the release does not answer.
    """
    try:
        content = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        why = "No such file is there" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
        raise DataError(f"{file} can't be read.", why=f"{why}.", do="Name a file like examples/two-rows.json.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if is_table(file):
            do = f"`pushline score-batch {file} --out scores.csv` scores tables, with the champion."
        else:
            do = 'Write {"data": [rows]}, as examples/two-rows.json does.'
        raise DataError(f"{file} is not JSON.", why=f"{error}.", do=do) from error
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise DataError(f"{file} holds no rows.", why='A list, or an object with a list "data", is expected.', do="See examples/.")
    live = live_of(target)
    answer = Client(live.url).score(rows, target.keys().primary)
    if answer.status in (400, 413, 422):
        raise DataError(
            f"The rows of {file} were refused.", why=faults_of(answer), do="Correct the rows; /docs of the release shows the contract."
        )
    if answer.status != 200 or not isinstance(answer.content, dict):
        raise TargetError(
            f"{live.url} gave no score.", why=f"It answered: {answer}.", do="`pushline status` and `pushline logs --errors` tell more."
        )
    return answer.content


def is_table(file: Path) -> bool:
    """Whether a file's name is that of a table: x.csv, x.csv.gz, x.parquet."""
    return bool({".csv", ".tsv", ".parquet", ".xlsx"} & {suffix.lower() for suffix in file.suffixes})


def faults_of(answer: Answer) -> str:
    """What a refusal says, in one line."""
    content = answer.content if isinstance(answer.content, dict) else {}
    errors = content.get("errors") or []
    said = [f"row {error.get('row')}, {error.get('column', 'all of it')} {error.get('message')}" for error in errors[:SHOWN_ERRORS]]
    more = [f"and {len(errors) - SHOWN_ERRORS} more"] if len(errors) > SHOWN_ERRORS else []
    return "; ".join([*said, *more]) + "." if said else str(content.get("detail") or answer)


def table_of(answer: dict[str, Any]) -> list[str]:
    """An answer as lines: row, result, probability."""
    rows = list(zip(answer["result"], answer["probability"], strict=True))
    width = max([len("result"), *(len(result) for result, _ in rows)])
    shown = [f"{'row':>6}  {'result':<{width}}  probability"]
    for number, (result, probability) in enumerate(rows):
        said = f"{probability:.4f}" if isinstance(probability, float | int) else by_class(probability, answer["classes"])
        shown.append(f"{number:>6}  {result:<{width}}  {said}")
    if "threshold" in answer:
        shown.append(f"threshold {answer['threshold']:.4g}, model version {answer['model_version']}")
    return shown


def by_class(probabilities: list[float], classes: list[str]) -> str:
    """The most probable classes by name, the most probable first."""
    ranked = sorted(zip(probabilities, classes, strict=True), key=lambda pair: -pair[0])
    rest = len(ranked) - SHOWN_CLASSES
    said = ", ".join(f"{name:.40} {value:.4f}" for value, name in ranked[:SHOWN_CLASSES])
    return said + (f" and {counted(rest, 'other class', 'other classes')}" if rest > 0 else "")


def document_of(endpoint: Endpoint) -> bytes:
    """The API document of a release. Raises TargetError where it is not to be had."""
    answer = Client(endpoint.url).get("/openapi.json")
    if answer.status != 200 or not isinstance(answer.content, dict):
        raise TargetError(f"{endpoint.url} gave no API document.", why=f"It answered: {answer}.", do="`pushline status` tells more.")
    return answer.body


class Viewer(ThreadingHTTPServer):
    """Swagger UI for a release on this machine's loopback; what is tried out there is passed on to the release."""

    daemon_threads = True

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        self.endpoint = endpoint
        self.pages = pages_of(document_of(endpoint))
        try:
            super().__init__(("127.0.0.1", port), Passing)
        except OSError as error:
            raise TargetError(f"Port {port} can't be listened on.", why=f"{error.strerror}.", do="Name another one with --port.") from error

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/docs"


class Passing(BaseHTTPRequestHandler):
    """Pages from here, everything else from the release."""

    server: Viewer

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.encode())
        if page is None:
            self.pass_on(None)
        else:
            self.reply(page.status, [*page.headers, ("content-type", page.type.decode())], page.plain())

    def do_POST(self) -> None:
        self.pass_on(self.rfile.read(min(int(self.headers.get("content-length") or 0), 1 << 24)))

    def pass_on(self, body: bytes | None) -> None:
        kept = {name: self.headers[name] for name in ("authorization", "content-type") if name in self.headers}
        request = urllib.request.Request(self.server.endpoint.url + self.path, data=body, headers=kept, method=self.command)  # noqa: S310
        answer = Client(self.server.endpoint.url).ask(request)
        hop = ("connection", "content-length", "transfer-encoding", "date")
        self.reply(answer.status or 502, [(name, value) for name, value in answer.headers.items() if name not in hop], answer.body)

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the release keeps the log."""
