from pathlib import Path

import pytest

from pushline.data.files.scan import CHUNK, kind_of, scan, scan_findings


def seen_in(tmp_path: Path, content: bytes) -> list[tuple[str, str, tuple[int, ...]]]:
    file = tmp_path / "f.csv"
    file.write_bytes(content)
    return [(finding.id, finding.severity, finding.lines) for finding in scan_findings(scan(file))]


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"a,b\r\n1,2\r\n", b"a,b\n1,2", "a,b\n1,\u00e9\n".encode(), b'a,b\r\n1,"x\ny"\r\n'])
def test_sound_text_has_no_fault(content: bytes, tmp_path: Path) -> None:
    assert seen_in(tmp_path, content) == []


def test_lines_are_counted_with_and_without_a_last_line_end(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    for content, lines in ((b"a\n1\n", 2), (b"a\n1", 2), (b"a\r\n1\r\n2", 3), (b"a\r1\r", 2), (b"a", 1)):
        file.write_bytes(content)
        assert scan(file).lines == lines


def test_a_fault_behind_the_first_piece_has_its_line(tmp_path: Path) -> None:
    line = b"x" * 63 + b"\n"
    before = CHUNK // len(line) * 2 + 5
    content = line * before + b"\xff\n" + line + b"\0\n"
    assert seen_in(tmp_path, content) == [("nul-bytes", "critical", (before + 3,)), ("encoding", "critical", (before + 1,))]


def test_a_character_cut_by_a_piece_is_no_fault(tmp_path: Path) -> None:
    for shift in range(4):
        content = b"x" * shift + "\u20ac".encode() * (CHUNK // 3) + b"\n" + "\u20ac".encode() * 1000 + b"\n"
        assert ("encoding", "critical") not in {(kind, severity) for kind, severity, _ in seen_in(tmp_path, content)}


def test_a_carriage_return_cut_from_its_line_feed_is_one_line_end(tmp_path: Path) -> None:
    line = b"y" * (CHUNK - 1) + b"\r\n"
    assert "line-ends" not in {kind for kind, severity, _ in seen_in(tmp_path, line * 2) if severity == "warning"}


def test_line_ends_within_quotes_are_not_mixed_line_ends(tmp_path: Path) -> None:
    assert seen_in(tmp_path, b'a,b\r\n1,"one\ntwo ""three""\n"\r\n') == []
    assert seen_in(tmp_path, b'a,b\r\n1,"one\ntwo"\n')[0][:2] == ("line-ends", "warning")


@pytest.mark.parametrize("text", ["name,age\nx,1\n", "{a,b\n1,2\n", "<id>,age\n1,2\n", "PK,b\n1,2\n", "[a],b\n"])
def test_text_that_only_begins_oddly_is_still_a_table(text: str) -> None:
    assert kind_of(text.encode(), "f.csv") is None
