from pathlib import Path

from pushline.data.files.reading import TableFile, lines_of


def test_rows_of_a_plain_file_are_counted_without_reading_it() -> None:
    source = TableFile(file=Path("/nowhere"), rows=10)
    assert lines_of([source], [0, 9, 4]) == (source, (2, 6, 11))


def test_rows_of_a_parquet_file_are_numbered_from_one() -> None:
    assert lines_of([TableFile(file=Path("/nowhere"), rows=10, is_parquet=True)], [0, 9])[1] == (1, 10)


def test_quoted_line_ends_blank_lines_and_left_out_rows_are_walked_over(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_bytes(b'a,b\r\n1,"x\r\ny"\r\n\r\n2,left,out\r\n3,z\r\n4,"w""v"\r\n')
    source = TableFile(file=file, rows=3, one_line_each=False, left_out=frozenset({5}))
    assert lines_of([source], [0, 1, 2])[1] == (2, 6, 7)


def test_a_row_is_found_in_the_file_it_came_from() -> None:
    sources = [TableFile(file=Path("/one"), rows=5), TableFile(file=Path("/two"), first_row=5, rows=5)]
    assert lines_of(sources, [7, 9]) == (sources[1], (4, 6))
    assert lines_of(sources, [3, 9]) == (sources[0], (5,))


def test_no_rows_have_no_lines() -> None:
    assert lines_of([], []) == (None, ())
