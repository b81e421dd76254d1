"""A large input cut into parts that other machines score by themselves, and what they made put together again.

A part's name says where it begins in the input and what is to become of it: `000000200002-to-csv.csv`. As a program, this
module scores parts with a model folder, as many at once as there are cores.
"""

import argparse
import csv
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import msgspec

from pushline.batch.job import BatchResult, Options, refused, score_batch
from pushline.batch.output import join_parquet, rejects_of, sample_of, writing
from pushline.batch.row_ends import end_of_header, rows_in
from pushline.batch.source import HEAD_BYTES, BatchInput
from pushline.errors import TargetError
from pushline.files import cannot_write, remove, whole_file, write_json

ROWS = 200_000  # of a part: a second's work or so
NAME = re.compile(r"(\d+)-to-(csv|parquet)")
SAMPLES = "samples"


def cut(source: BatchInput, folder: Path, to: str, rows: int = ROWS) -> int:
    """Put the input as parts of at most `rows` rows into `folder` and return how many; `to` is csv or parquet."""
    number = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for first, content in slices(source, rows):
            file = folder / f"{first:012}-to-{to}.{source.kind}"
            if source.kind == "csv":
                file.write_bytes(content)
            else:
                import pyarrow as pa
                import pyarrow.parquet as pq

                pq.write_table(pa.Table.from_batches([content]), file, compression="zstd")
            number += 1
    except OSError as error:
        raise cannot_write(folder, error) from error
    return number


def slices(source: BatchInput, rows: int) -> Iterator[tuple[int, Any]]:
    """The line or row each part begins with, and its bytes with the header, or its batch."""
    for piece in source.pieces():
        if source.kind != "csv":
            for start in range(0, piece.batch.num_rows, rows):
                yield piece.first + start, piece.batch.slice(start, rows)
            continue
        text = piece.text if piece.text.endswith(b"\n") else piece.text + b"\n"
        bounds = [0, *rows_in(text, source.delimiter, whole=True).ends.tolist()]
        for start in range(0, len(bounds) - 1, rows):
            begin, end = bounds[start], bounds[min(start + rows, len(bounds) - 1)]
            yield piece.first + text.count(b"\n", 0, begin), source.header + b"\n" + text[begin:end]


def score_part(file: Path, model: Path, version: str, out: Path) -> None:
    """Leave the scores of a part, its rejects and what was done in `out`, under the part's number."""
    from pushline.serving.model_folder import read_contract

    found = NAME.match(file.name)
    if found is None:
        raise TargetError(f"{file.name} is not the name of a part.", do="Cut the input with `pushline score-batch --cluster`.")
    made = out / f"{found[1]}.{found[2]}"
    options = Options(delimiter=read_contract(model).delimiter, workers=1)
    ended = score_batch(str(file), made, model, version, options=options, progress=lambda line: None)
    try:
        if ended.sample:
            (out / SAMPLES).mkdir(exist_ok=True)
            shutil.move(ended.sample, out / SAMPLES / f"{found[1]}.parquet")
    except OSError as error:
        raise cannot_write(out, error) from error
    write_json(out / f"{found[1]}.json", ended)  # last: a part with this file is whole


def put_together(folder: Path, number: int, source: BatchInput, uri: str, out: Path, *, options: Options, seconds: float) -> BatchResult:
    """The parts that were scored into `folder` as one file of scores with its rejects, and the account of it.

    Raises TargetError where a part is missing, CriticalFindings where the job is strict and a row breaks the contract.
    """
    accounts = {file.stem: msgspec.json.decode(file.read_bytes(), type=BatchResult) for file in sorted(folder.glob("*.json"))}
    if len(accounts) != number:
        raise TargetError(
            f"{number - len(accounts)} of {number} parts of {uri} were not scored.", why="The job left no account of them.", do="Run again."
        )
    rejected = sum(one.rejected for one in accounts.values())
    if options.strict and rejected:
        line = next(islice(all_rejects(folder, list(accounts), source.first, options.delimiter), 1, None))
        place, reason = next(csv.reader([line.decode()], delimiter=options.delimiter))[:2]
        raise refused(place, reason, f"{rejected:,} do")
    if rejected:
        with whole_file(rejects_of(out)) as half, half.open("wb") as stream:
            stream.writelines(all_rejects(folder, list(accounts), source.first, options.delimiter))
    else:
        with writing(rejects_of(out)):
            remove(rejects_of(out))  # of other scores that stood here
    join_parquet(folder / SAMPLES, sample_of(out))
    if out.suffix == ".parquet":
        join_parquet(folder, out)
    else:
        with whole_file(out) as half, half.open("wb") as stream:
            for position, name in enumerate(accounts):
                with (folder / f"{name}.csv").open("rb") as part:
                    if position:
                        part.seek(end_of_header(part.read(HEAD_BYTES), options.delimiter))
                    shutil.copyfileobj(part, stream)
    return account_of(list(accounts.values()), uri, out, seconds)


def all_rejects(folder: Path, names: list[str], first: int, delimiter: str) -> Iterator[bytes]:
    """The header and the lines of all rejects, with their places in the whole input; `first` is that of its first row."""
    headed = False
    for name in names:
        file = folder / f"{name}.rejects.csv"
        if not file.is_file():
            continue
        text = file.read_bytes()
        bounds = [0, *rows_in(text, delimiter, whole=True).ends.tolist()]
        lines = [text[start:end] for start, end in pairwise(bounds)]
        yield from lines[: 0 if headed else 1]
        headed = True
        for line in lines[1:]:
            place, comma, rest = line.partition(delimiter.encode())
            yield str(int(place) + int(name) - first).encode() + comma + rest


def account_of(parts: list[BatchResult], uri: str, out: Path, seconds: float) -> BatchResult:
    """What all parts did, as one job says it."""
    scored, rejected = sum(one.scored for one in parts), sum(one.rejected for one in parts)
    reasons, results = Counter[str](), Counter[str]()
    for one in parts:
        reasons.update(one.reasons)
        results.update(one.results)
    return BatchResult(
        input=uri,
        out=str(out),
        model_version=parts[0].model_version,
        rows=scored + rejected,
        scored=scored,
        rejected=rejected,
        rejects=str(rejects_of(out)) if rejected else None,
        reasons=dict(reasons.most_common(10)),
        results=dict(results),
        histogram=tuple(sum(counts) for counts in zip(*(one.histogram for one in parts), strict=True)),
        seconds=round(seconds, 3),
        rows_per_second=round((scored + rejected) / max(seconds, 1e-9), 1),
        resumed=False,
        sample=str(sample_of(out)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--model-version", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("files", type=Path, nargs="+")
    said = parser.parse_args()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(lambda file: score_part(file, said.model, said.model_version, said.out), said.files))


if __name__ == "__main__":
    main()
