"""SimpleRowMatrix: what a reader that follows the official one gets out of it is what was put in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.row_matrix import read_matrix

from lutra.kernels.plainbuffer import encode_row_matrix
from lutra.model.errors import ParameterInvalid
from lutra.model.rows import Row
from lutra.model.values import INT64_MAX, INT64_MIN
from lutra.server.protocol.row_matrix import NULLS_MAX, encode_matrix, rows_that_fit

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.integers(INT64_MIN, INT64_MAX)
VALUES = st.one_of(INTEGERS, st.floats(allow_nan=False), st.booleans(), TEXTS, st.binary(max_size=8))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4).filter(lambda name: name != "id")
CELLS = st.dictionaries(NAMES, VALUES, max_size=5)


def row(key: object, cells: dict[str, object]) -> Row:
    return Row((("id", key),), [(name, value, 1) for name, value in sorted(cells.items())])  # type: ignore[arg-type, misc]


@given(
    st.lists(st.tuples(st.one_of(INTEGERS, TEXTS, st.binary(max_size=8)), CELLS), max_size=6),
    st.lists(NAMES, max_size=4),
)
def test_a_reader_gets_what_was_written(rows: list[tuple[object, dict[str, object]]], asked: list[str]) -> None:
    if asked:
        rows = [(key, {name: value for name, value in cells.items() if name in asked}) for key, cells in rows]
    matrix = read_matrix(encode_matrix(["id"], [row(*one) for one in rows], asked))
    names = list(dict.fromkeys(asked)) or sorted({name for _, cells in rows for name in cells})
    assert matrix.key_names == ["id"]
    assert matrix.column_names == names
    expected = [[key, *(cells.get(name) for name in names)] for key, cells in rows]
    assert matrix.rows == expected
    assert [list(map(type, one)) for one in matrix.rows] == [list(map(type, one)) for one in expected]


def test_of_versions_the_newest_is_taken_and_key_columns_stand_once() -> None:
    one = Row((("id", 1), ("sub", "x")), [("a", "new", 2), ("a", "old", 1), ("b", 1.5, 1)])
    matrix = read_matrix(encode_matrix(["id", "sub"], [one], ["b", "id", "a", "c"]))
    assert (matrix.key_names, matrix.column_names) == (["id", "sub"], ["b", "a", "c"])
    assert matrix.rows == [[1, "x", 1.5, "new", None]]


def test_rows_that_have_no_column_in_common_go_into_blocks_of_few() -> None:
    rows = [row(i, {f"c{i}-{j}": j for j in range(100)}) for i in range(600)]
    count = rows_that_fit(rows)
    assert 1 < count < len(rows)
    assert len(encode_matrix(["id"], rows[:count])) < NULLS_MAX + 2_000_000
    assert (count + 1) * (count + 1) * 100 > NULLS_MAX >= count * (count - 1) * 100


def test_rows_that_are_alike_all_fit_and_one_row_always_does() -> None:
    assert rows_that_fit([row(i, {"a": i}) for i in range(5_000)]) == 5_000
    assert rows_that_fit([row(1, {"a": 1})], [f"c{i}" for i in range(1_024)]) == 1
    assert rows_that_fit([]) == 0


def test_what_no_block_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="no column is named 'b'"):
        encode_row_matrix(["id"], ["a"], [((("id", 1),), [("b", 1, 1)])])
    with pytest.raises(ValueError, match="a key lacks a column"):
        encode_row_matrix(["id", "sub"], [], [((("id", 1),), [])])
    with pytest.raises(ParameterInvalid, match="too large for one block"):
        encode_row_matrix(["id"], ["x" * 40_000], [])
    with pytest.raises(TypeError, match="a column's name is a str"):
        encode_row_matrix([1], [], [])  # type: ignore[list-item]
