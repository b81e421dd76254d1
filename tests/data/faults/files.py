"""Files that are no CSV in UTF-8 at all."""

import gzip
import io
import json
import zipfile

import pandas as pd

from data.faults import fault
from data.faults.sound import Sound, joined


@fault("empty-file")
def zero_bytes(sound: Sound) -> bytes:
    return b""


@fault("encoding", lines=(1,))
def utf_16(sound: Sound) -> bytes:
    return sound.text().encode("utf-16")


@fault("encoding", lines=(1,))
def utf_16_without_a_mark(sound: Sound) -> bytes:
    return sound.text().encode("utf-16-be")


@fault("encoding", lines=(3, 40))
def latin_1_bytes(sound: Sound) -> bytes:
    return sound.set(3, "job", "técnico").set(40, "job", "técnico").text().encode("latin-1")


@fault("byte-order-mark", severity="info", lines=(1,), reads_rows=True)
def byte_order_mark(sound: Sound) -> bytes:
    return b"\xef\xbb\xbf" + sound.csv()


@fault("nul-bytes", lines=(12, 13))
def nul_bytes(sound: Sound) -> bytes:
    lines = sound.lines()
    lines[11], lines[12] = lines[11][:5] + "\0\0" + lines[11][5:], lines[12] + "\0"
    return joined(lines)


@fault("line-ends", severity="warning", reads_rows=True)
def line_ends_of_carriage_returns_only(sound: Sound) -> bytes:
    return sound.csv(end="\r")


@fault("line-ends", severity="warning", reads_rows=True)
def mixed_line_ends(sound: Sound) -> bytes:
    lines = sound.lines()
    return ("\r\n".join(lines[:500]) + "\r\n" + "\n".join(lines[500:]) + "\n").encode()


@fault("line-ends", lines=(1,))
def no_line_ends(sound: Sound) -> bytes:
    return b",".join([sound.csv().replace(b"\r\n", b",")] * 30)


@fault("not-a-table")
def zip_archive(sound: Sound) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("bank.csv", sound.csv())
    return stream.getvalue()


@fault("not-a-table")
def excel_workbook(sound: Sound) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return stream.getvalue()


@fault("not-a-table")
def old_excel_workbook(sound: Sound) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)


@fault("not-a-table")
def gzip_under_a_csv_name(sound: Sound) -> bytes:
    return gzip.compress(sound.csv())


@fault("not-a-table")
def parquet_under_a_csv_name(sound: Sound) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(sound.rows, columns=sound.names).to_parquet(stream)
    return stream.getvalue()


@fault("not-a-table", suffix=".parquet")
def csv_under_a_parquet_name(sound: Sound) -> bytes:
    return sound.csv()


@fault("not-a-table", suffix=".parquet")
def parquet_cut_off(sound: Sound) -> bytes:
    whole = parquet_under_a_csv_name(sound)
    return whole[: len(whole) // 2]


@fault("not-a-table")
def web_page_in_place_of_the_data(sound: Sound) -> bytes:
    return b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"


@fault("not-a-table")
def xml_error_of_a_blob_store(sound: Sound) -> bytes:
    return '\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>PublicAccessNotPermitted</Code></Error>'.encode()


@fault("not-a-table")
def json_rows(sound: Sound) -> bytes:
    return json.dumps([dict(zip(sound.names, row, strict=True)) for row in sound.rows[:50]], indent=1).encode()


@fault("not-a-table")
def git_lfs_pointer(sound: Sound) -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:4c16872d\nsize 4150422\n"
