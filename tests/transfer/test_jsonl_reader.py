"""JSON lines: what is wrong with a line is told, and costs no other."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.transfer import jsonl_reader, lines
from lutra.transfer.data_file import DataFile
from lutra.transfer.jsonl_reader import JsonLinesReader
from lutra.transfer.positions import Position


def test_rows_and_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(
        b'\xef\xbb\xbf{"a": 1}\n\n{"a": [1.5, "x", null], "b": {"c": true}}\r\n{"a": \n[1]\n"x"\n{"a": NaN}\n'
        b'{"a": "\xff"}\n' + b'{"a":' * 100_000 + b"\n" + b'{"a": ' + b"9" * 5_000 + b'}\n{"a": 2}'
    )
    rows = [row for found in JsonLinesReader(DataFile.at(path)).rows(Position()) for row in found.rows]
    assert [(row.number, row.line, row.values) for row in rows if row.values is not None] == [
        (1, 1, {"a": 1}),
        (2, 3, {"a": [1.5, "x", None], "b": {"c": True}}),
        (10, 11, {"a": 2}),
    ]
    wrong = [(row.line, row.wrong) for row in rows if row.values is None]
    assert wrong[:5] == [
        (4, "not JSON: Expecting value, column 1"),
        (5, "expected an object of JSON in each line, not an array (of an array of objects, jq -c '.[]' makes lines)"),
        (6, "expected an object of JSON in each line, not a string"),
        (7, "not JSON: NaN is no value of JSON"),
        (8, "not UTF-8: byte 7 of the line"),
    ]
    assert [line for line, _ in wrong[5:]] == [9, 10]
    assert wrong[5][1] == "not JSON that can be read: it is nested too deeply"
    assert all(len(row.raw or "") <= 5_000 for row in rows)


@pytest.mark.parametrize("content", ['[\n  {"a": 1}\n]\n', '[{"a": 1},\n {"a": 2}]\n'])
def test_an_array_over_several_lines(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.json").write_text(content)
    [found] = JsonLinesReader(DataFile.at(tmp_path / "rows.json")).rows(Position())
    assert "not the begin of an array (of an array of objects, jq -c '.[]' makes lines)" in (found.rows[0].wrong or "")


def test_goes_on_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_reader, "_ROWS_AT_ONCE", 3)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps({'n': n})}\n" + "\n" * (n % 3) for n in range(20)))
    reader = JsonLinesReader(DataFile.at(path))
    whole = list(reader.rows(Position()))
    assert len(whole) == 7
    for number, found in enumerate(whole):
        rest = [row for later in reader.rows(found.after) for row in later.rows]
        assert rest == [row for later in whole[number + 1 :] for row in later.rows]


def test_a_line_without_an_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed file of a kilobyte says one of gigabytes."""
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 100)
    monkeypatch.setattr(lines, "LINE_SKIPPED_BYTES_MAX", 1_000)
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"n": 1}\n{"x": "' + b"a" * 500 + b'"}\n{"n": 2}\n'))
    [found] = JsonLinesReader(DataFile.at(path)).rows(Position())
    assert [row.wrong for row in found.rows] == [None, "the line is too long for a row", None]
    path.write_bytes(gzip.compress(b'{"n": 1}\n{"x": "' + b"a" * 100_000 + b'"}\n'))
    with pytest.raises(ParameterInvalid, match="line 2 has no end within 1,000 bytes"):
        list(JsonLinesReader(DataFile.at(path)).rows(Position()))
    gave_up = Deadline(60)
    gave_up.give_up()
    with working_for(gave_up), pytest.raises(RequestTimeout):
        list(JsonLinesReader(DataFile.at(path)).rows(Position()))


def test_lines_that_are_passed_over_count_as_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 100)
    monkeypatch.setattr(jsonl_reader, "_BYTES_AT_ONCE", 1_000)
    path = tmp_path / "rows.jsonl"
    path.write_bytes((b'{"x": "' + b"a" * 500 + b'"}\n') * 6)
    assert [found.count for found in JsonLinesReader(DataFile.at(path)).rows(Position())] == [2, 2, 2]


def test_lines_of_more_values_than_a_row_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list has 3 bytes, and 56 once it is read."""
    monkeypatch.setattr(jsonl_reader, "_VALUES_MAX", 100)
    monkeypatch.setattr(jsonl_reader, "_PARTS_MAX", 50)
    rows = [{"x": [1] * 100}, {"x": [1] * 102}, {"x": [[]] * 40}, {"x": [[]] * 60}, {f"x{n}": 1 for n in range(60)}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    [found] = JsonLinesReader(DataFile.at(path)).rows(Position())
    wrong = "the line has too many values for a row"
    assert [row.wrong for row in found.rows] == [None, wrong, None, wrong, wrong]
