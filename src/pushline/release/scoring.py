"""Asking the live release, whatever the target: scores for a file of rows, and its API document."""

import csv
import re
import shlex
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from pushline.data.contract import Contract
from pushline.data.files.header import read_header
from pushline.errors import DataError, TargetError
from pushline.release.target import Endpoint, Target
from pushline.serving.client import Answer, Client
from pushline.wording import counted

SHOWN_ERRORS = 5
SHOWN_CLASSES = 3
MOST_ROWS = 10_000
HEAD = 1 << 20  # bytes that hold a header
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


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


def score_file(target: Target, file: Path, contract: Contract, *, at_once: int, explain: int = 0) -> dict[str, Any]:
    """The answer of the live release to the rows of a file, asked `at_once` rows at a time; with `explain` so many reasons a row.

    Raises DataError where the file holds no rows or they are refused, TargetError where the release does not answer.
    """
    rows = rows_of(file, contract)
    live, key = live_of(target), target.keys().primary
    client, whole = Client(live.url), dict[str, Any]()
    for first in range(0, max(len(rows), 1), at_once):
        answer = client.score(rows[first : first + at_once], key, explain=explain)
        if answer.status == 409:
            raise TargetError(
                f"{live.release.id} does not explain its answers.", why=answer.content["detail"], do="Score without --explain."
            )
        if answer.status in (400, 413, 422):
            raise DataError(
                f"The rows of {file} were refused.",
                why=faults_of(answer, first),
                do="Correct the rows; /docs of the release shows the contract.",
            )
        if answer.status != 200 or not isinstance(answer.content, dict):
            raise TargetError(
                f"{live.url} gave no score.", why=f"It answered: {answer}.", do="`pushline status` and `pushline logs --errors` tell more."
            )
        for name, value in answer.content.items():
            per_row = isinstance(value, list) and name != "classes"
            whole[name] = [*whole.get(name, []), *value] if per_row else value
    return whole


def rows_of(file: Path, contract: Contract) -> list[Any]:
    """The rows of a JSON file (`{"data": [rows]}` or a bare list), or of a table without its label, as the service takes them."""
    if is_table(file):
        return rows_of_table(file, contract)
    try:
        content = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise unreadable(file, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not JSON.", why=f"{error}.", do='Write {"data": [rows]}, as examples/two-rows.json does.') from error
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise DataError(f"{file} holds no rows.", why='A list, or an object with a list "data", is expected.', do="See examples/.")
    return rows


def rows_of_table(file: Path, contract: Contract) -> list[Any]:
    """The rows of a CSV or Parquet file. A cell that is not of its column's type stays a text, for the service to name."""
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"{file} can't be read.", why="Rows come from .json, .csv or .parquet.", do="Save it as CSV in UTF-8.")
    try:
        rows = parquet_rows(file) if file.suffix.lower() == ".parquet" else csv_rows(file, contract)
    except (OSError, ValueError, csv.Error) as error:  # what Arrow can't read is a ValueError
        raise unreadable(file, error) from error
    if len(rows) > MOST_ROWS:
        raise DataError(
            f"{file} holds more rows than a person reads.",
            why=f"score asks the live release for at most {MOST_ROWS:,}.",
            do=f"`pushline score-batch {file} --out scores.csv` scores tables of any size.",
        )
    return [{name: cell for name, cell in row.items() if name != contract.label.name} for row in rows]


def csv_rows(file: Path, contract: Contract) -> list[dict[str, Any]]:
    types = {column.name: column.type for column in contract.columns}
    with file.open("rb") as raw:
        header = read_header(raw.read(HEAD), contract)
    if not header.readable:
        raise DataError(f"{file} can't be read.", why=header.findings[0].message, do=f"`pushline check-data {file}` says more.")
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text, delimiter=contract.delimiter, restkey="a field without a name", strict=True)
        rows = islice(reader, MOST_ROWS + 1)
        return [{name: value_of(cell, types.get(name, "string")) for name, cell in row.items()} for row in rows]


def parquet_rows(file: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    batches = pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=MOST_ROWS + 1)
    return list(chain.from_iterable(batch.to_pylist() for batch in islice(batches, 1)))


def value_of(cell: Any, kind: str) -> Any:
    """A cell of CSV as the service takes it."""
    if not cell:
        return None
    if kind == "boolean":
        return {"true": True, "false": False}.get(cell.lower(), cell)
    if kind not in ("integer", "number") or not NUMBER.fullmatch(cell):
        return cell
    return int(cell) if cell.lstrip("+-").isdecimal() else float(cell)


def curl_of(target: Target, file: Path, contract: Contract) -> str:
    """The first row of a file as a command of curl, for a shell; it asks for the key when it runs, so none is in it."""
    rows = rows_of(file, contract)
    body = msgspec.json.encode({"data": rows[:1]}).decode()
    url = shlex.quote(live_of(target).url + "/score")
    key, kind = '"authorization: Bearer $(pushline keys show)"', "'content-type: application/json'"
    return f"curl --silent --show-error --header {key} --header {kind} --data {shlex.quote(body)} {url}"


def unreadable(file: Path, error: Exception) -> DataError:
    missing = isinstance(error, FileNotFoundError)
    why = "No such file is there" if missing else getattr(error, "strerror", None) or str(error)
    return DataError(
        f"{file} can't be read.", why=f"{why.rstrip('.')}.", do="Name a file like examples/two-rows.json, or a table as CSV or Parquet."
    )


def is_table(file: Path) -> bool:
    """Whether a file's name is that of a table: x.csv, x.csv.gz, x.parquet."""
    return bool({".csv", ".tsv", ".parquet", ".xlsx"} & {suffix.lower() for suffix in file.suffixes})


def faults_of(answer: Answer, first: int = 0) -> str:
    """What a refusal says, in one line; its rows are counted from `first`."""
    content = answer.content if isinstance(answer.content, dict) else {}
    errors = content.get("errors") or []
    places = ["the rows" if error.get("row") is None else f"row {error['row'] + first}" for error in errors[:SHOWN_ERRORS]]
    said = [f"{place}, {error.get('column', 'all of it')} {error.get('message')}" for place, error in zip(places, errors, strict=False)]
    more = [f"and {len(errors) - SHOWN_ERRORS} more"] if len(errors) > SHOWN_ERRORS else []
    return "; ".join([*said, *more]) + "." if said else str(content.get("detail") or answer)


def table_of(answer: dict[str, Any]) -> list[str]:
    """An answer as lines: row, result, probability; or of a quantity row, result, low and high."""
    if "level" in answer:
        columns = zip(answer["result"], answer["low"], answer["high"], strict=True)
        lines = []
        for number, (value, low, high) in enumerate(columns):
            lines += [f"{number:>6}  {value:>14.6g}  {low:>14.6g}  {high:>14.6g}", *reasons_of(answer, number)]
        said = f"between low and high lies a share of {answer['level']:.4g} of such rows, model version {answer['model_version']}"
        return [f"{'row':>6}  {'result':>14}  {'low':>14}  {'high':>14}", *lines, said]
    rows = list(zip(answer["result"], answer["probability"], strict=True))
    width = max([len("result"), *(len(result) for result, _ in rows)])
    shown = [f"{'row':>6}  {'result':<{width}}  probability"]
    for number, (result, probability) in enumerate(rows):
        said = f"{probability:.4f}" if isinstance(probability, float | int) else by_class(probability, answer["classes"])
        shown += [f"{number:>6}  {result:<{width}}  {said}", *reasons_of(answer, number)]
    if "threshold" in answer:
        shown.append(f"threshold {answer['threshold']:.4g}, model version {answer['model_version']}")
    return shown


def reasons_of(answer: dict[str, Any], number: int) -> list[str]:
    """What moved the score of a row, a line a feature; nothing where it was not asked for."""
    if "explanations" not in answer:
        return []
    reasons = answer["explanations"][number]["reasons"]
    return [f"{'':>8}{reason['contribution']:+.4f}  {reason['feature']}" for reason in reasons]


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
    """A release's Swagger UI on this machine's loopback: whatever is asked here is passed on to the release."""

    daemon_threads = True

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        document_of(endpoint)
        self.release = Client(endpoint.url)
        try:
            super().__init__(("127.0.0.1", port), Passing)
        except OSError as error:
            raise TargetError(f"Port {port} can't be listened on.", why=f"{error.strerror}.", do="Name another one with --port.") from error

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/docs"


class Passing(BaseHTTPRequestHandler):
    """Requests to the release and its answers back."""

    server: Viewer

    def do_GET(self) -> None:
        self.pass_on(None)

    def do_POST(self) -> None:
        self.pass_on(self.rfile.read(min(int(self.headers.get("content-length") or 0), 1 << 24)))

    def pass_on(self, body: bytes | None) -> None:
        kept = {name: self.headers[name] for name in ("authorization", "content-type") if name in self.headers}
        answer = self.server.release.send(self.command, self.path, kept, body)
        self.send_response(answer.status or 502)
        for name, value in answer.headers.items():
            if name not in ("connection", "content-length", "transfer-encoding", "date"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the release keeps the log."""
