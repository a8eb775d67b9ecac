"""CSV: each row with its line, broken ones alone, and from every place on the same as from the begin."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lutra.model.errors import ParameterInvalid
from lutra.transfer import csv_reader, lines
from lutra.transfer.csv_dialect import CsvOptions
from lutra.transfer.csv_reader import CsvReader
from lutra.transfer.data_file import DataFile
from lutra.transfer.positions import FoundRow, Position

START = Position()
_junk = st.lists(st.sampled_from([bytes([one]) for one in b'a"\r\n,\x00\xff;1']), max_size=40).map(b"".join)
_cell = st.text(st.sampled_from('ab"\n,;\t é\r'), max_size=6).filter(lambda text: text != "")


def read(path: Path, content: str | bytes, start: Position = START, **options: object) -> list[FoundRow]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    reader = CsvReader(DataFile.at(path), CsvOptions(**options))  # type: ignore[arg-type]
    return [row for found in reader.rows(start) for row in found.rows]


def told(rows: list[FoundRow]) -> list[tuple[int | None, object]]:
    """By lines, the values or what is wrong."""
    return [(row.line, row.wrong if row.values is None else list(row.values.values())) for row in rows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


@given(rows=st.lists(st.tuples(_cell, _cell), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_what_the_standard_library_writes(path: Path, rows: list[tuple[str, str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("x", "y"), *rows])
    assert [value for _, value in told(read(path, buffer.getvalue()))] == [list(row) for row in rows]


@given(
    rows=st.lists(st.sampled_from(["1,one", '2,"t,o"', '3,"two\nlines"', '4,""', "broken", '5,"x', 'a"b,c', "6,x,y"]))
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_broken_line_costs_no_other(path: Path, rows: list[str]) -> None:
    """But where a quote that is not closed meets another: then nobody can tell what is within quotes."""
    found = told(read(path, "\n".join(["x,y", *rows, ""])))
    good = {"1,one": ["1", "one"], '2,"t,o"': ["2", "t,o"], '3,"two\nlines"': ["3", "two\nlines"], '4,""': ["4", ""]}
    line = 2
    unclosed = [row for row in rows if row.count('"') % 2]
    for row in rows:
        if row in good and len(unclosed) <= 1:
            assert (line, good[row]) in found
        line += 1 + row.count("\n")
    if len(unclosed) <= 1:
        assert sum(1 for _, value in found if isinstance(value, str)) == sum(
            1 for row in rows if row in ("broken", '5,"x', "6,x,y")
        )


def test_what_is_wrong_is_told(path: Path) -> None:
    content = b'x,y\n1,2\n3\n\n4,5,6\n7,"8\n9,10\n\xff,11\n12,13'
    assert told(read(path, content)) == [
        (2, ["1", "2"]),
        (3, "1 value, but there are 2 columns"),
        (5, "3 values, but there are 2 columns"),
        (6, "a quote is not closed, or not where it can be"),
        (7, ["9", "10"]),
        (8, "not UTF-8: \\xff (iconv makes a file UTF-8)"),
        (9, ["12", "13"]),
    ]
    rows = read(path, content)
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row.raw for row in rows if row.values is None] == ["3", "4,5,6", '7,"8', "\\xff,11"]


@given(head=st.sampled_from([b"x\n", b"x,y\n", b"x,y,z\n"]), body=st.binary(max_size=60) | _junk)
@example(head=b"x,y,z\n", body=b',\x00;"\r"')
@example(head=b"x,y\n", body=bytes(range(256)) * 4)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_no_csv_has_broken_rows(path: Path, head: bytes, body: bytes) -> None:
    """Whatever it holds, it is read to its end, each row with values or with what is wrong."""
    rows = read(path, head + body)
    assert [row.number for row in rows] == [*range(1, len(rows) + 1)]
    assert all((row.values is None) == (row.wrong is not None) for row in rows)


def test_bytes_that_are_no_text_cost_no_other_row(path: Path) -> None:
    content = b'x,y\n1,\xe4\n\xff\n2,"\xe4\nb"\n3,4\n'
    assert told(read(path, content)) == [
        (2, "not UTF-8: \\xe4 (iconv makes a file UTF-8)"),
        (3, "not UTF-8: \\xff (iconv makes a file UTF-8)"),
        (4, 'not UTF-8: \\xe4\nb" (iconv makes a file UTF-8)'),
        (6, ["3", "4"]),
    ]


def test_gaps_and_empty_texts(path: Path) -> None:
    content = 'x,y\n,""\nNULL,"NULL"\n'
    assert told(read(path, content)) == [(2, [None, ""]), (3, ["NULL", "NULL"])]
    assert told(read(path, content, nulls=("", "NULL"))) == [(2, [None, ""]), (3, [None, "NULL"])]


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("\ufeffx,y\n1,2\n", {}, {"x": "1", "y": "2"}),
        ("x;y\n1,5;2\n", {}, {"x": "1,5", "y": "2"}),
        ("x|y\n1|2\n", {}, {"x": "1", "y": "2"}),
        ('"x,z";y\n1;2\n', {}, {"x,z": "1", "y": "2"}),
        ('"x\nz",y\n1,2\n', {}, {"x\nz": "1", "y": "2"}),
        ("1,2\n", {"header": ("x", "y")}, {"x": "1", "y": "2"}),
        ("x y\n1 2\n", {"delimiter": " "}, {"x": "1", "y": "2"}),
        (",x,\n1,2,3\n", {}, {"column_1": "1", "x": "2", "column_3": "3"}),
        ("x,x,x_2,x\n1,2,3,4\n", {}, {"x": "1", "x_3": "2", "x_2": "3", "x_4": "4"}),
        ("\n\n x , y \r\n1,2\r\n", {}, {"x": "1", "y": "2"}),
    ],
)
def test_dialects(path: Path, content: str, options: dict[str, object], expected: dict[str, str]) -> None:
    [row] = read(path, content, **options)
    assert row.values == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"\xff\xfex\x00", "is UTF-16"),
        (b"x\xff\n", r"is not UTF-8: 'x\\xff'\. Save it as UTF-8 first"),
        (b"x,y\r1,2\r", "end by CR alone"),
        (b'x,"y\n', "a quote that is not closed"),
    ],
)
def test_files_that_are_refused(path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        read(path, content)


@pytest.mark.parametrize(
    ("names", "complaint"), [(("x", " "), "column 2 has no name"), (("x", "y", "x"), "two columns are called 'x'")]
)
def test_names_that_are_refused(path: Path, names: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        read(path, b"1,2,3\n", header=names)


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_goes_on_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    import gzip

    monkeypatch.setattr(csv_reader, "_ROWS_AT_ONCE", 3)
    path = tmp_path / f"rows.{ending}"
    content = "x,y\n" + "".join(f'{n},"a\nb{n}"\n' if n % 4 else f"{n}\n" for n in range(20))
    path.write_bytes(gzip.compress(content.encode()) if ending.endswith("gz") else content.encode())
    reader = CsvReader(DataFile.at(path), CsvOptions())
    whole = list(reader.rows(Position()))
    assert len(whole) > 5
    for number, found in enumerate(whole):
        rest = [row for later in reader.rows(found.after) for row in later.rows]
        assert rest == [row for later in whole[number + 1 :] for row in later.rows]


def test_lines_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 16)
    monkeypatch.setattr(csv_reader, "_RECORD_LINES_MAX", 3)
    content = "x,y\n1,2\n" + "z" * 100 + ",1\n3,4\n" + '5,"' + "\n6,7" * 6
    assert told(read(path, content)) == [
        (2, ["1", "2"]),
        (3, "the line is too long for a row"),
        (4, ["3", "4"]),
        (5, "a quote is not closed, or not where it can be"),
        *((line, ["6", "7"]) for line in range(6, 12)),
    ]


def test_first_lines_that_no_table_has(path: Path) -> None:
    for head, told_as in (
        (",".join(f"c{number}" for number in range(4_097)), "more than 4,096 columns"),
        ("a," * (5 * 1024 * 1024), "the line with the names of columns has 10,485,761 characters"),
        ("id," + "x" * 200_000, "the line with the names of columns cannot be read: field larger than"),
    ):
        with pytest.raises(ParameterInvalid, match=told_as):
            read(path, f"{head}\n1,2\n")
    with pytest.raises(ParameterInvalid, match="more than 4,096 columns"):
        read(path, "1,2\n", header=tuple(f"c{number}" for number in range(4_097)))
