"""Rows of frames, records and dataclasses, written many at a time."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frame_rows import AT, ROW, SHAPES, UTC, plain

import lutra
from lutra.instance.table_writer import put_together

# --- shapes of frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_rows_says_the_same(things: lutra.Table, shape: str) -> None:
    rows = [ROW, {"id": "b", "year": None, "kind": "z"}, {**ROW, "id": "c", "tags": [], "items": []}]
    assert things.put_many(SHAPES[shape](rows)) == 3
    expected = {
        **ROW,
        "place": lutra.GeoPoint(52.5, 13.4),
        "items": [{"sku": "tea", "price": 4.0}, {"sku": "pot"}],
    }
    first, second, third = map(plain, things.scan())
    assert first == expected
    assert second == {"id": "b", "kind": "z"}
    assert third == {**expected, "id": "c", "tags": [], "items": []}
    assert [row["id"] for row in things.search([1, 0, 0.5], where=lutra.col("year") == 2020)] == ["a", "c"]


def test_polars_frames_are_rows(things: lutra.Table) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "id": ["a", "b"],
            "kind": pl.Series(["x", None], dtype=pl.Categorical),
            "year": pl.Series([1, None], dtype=pl.UInt8),
            "at": pl.Series([AT, None], dtype=pl.Datetime("us", "UTC")),
            "tags": [["p"], None],
            "v": pl.Series([[1, 2, 3], [4, 5, 6]], dtype=pl.Array(pl.Float64, 3)),
        }
    )
    assert things.put_many(frame) == 2
    first, second = map(plain, things.scan())
    assert first == {"id": "a", "kind": "x", "year": 1, "at": AT, "tags": ["p"], "v": [1.0, 2.0, 3.0]}
    assert second == {"id": "b", "v": [4.0, 5.0, 6.0]}
    with pytest.raises(lutra.ParameterInvalid, match="not one LazyFrame: collect it first"):
        things.put_many(frame.lazy())


def test_objects_of_a_dataclass_are_rows(years: lutra.Table) -> None:
    @dataclasses.dataclass
    class Year:
        id: int
        year: int
        kind: str | None = None

    years.put_many(Year(n, 2000 + n) for n in range(3))
    years.put(Year(3, 2003, "x"))
    assert [dict(row) for row in years.scan()][2:] == [{"id": 2, "year": 2002}, {"id": 3, "year": 2003, "kind": "x"}]
    for wrong in (Year, 5, ("id", 1)):
        with pytest.raises(lutra.ParameterInvalid, match="a row is a mapping of column names to values, or an object"):
            years.put_many([wrong])


def test_many_rows_come_in_a_few_commits_and_tell_progress(years: lutra.Table) -> None:
    seen: list[int] = []
    frame = pa.table({"id": range(2_500), "year": range(2_500)})
    assert years.put_many(frame, progress=seen.append) == 2_500
    assert seen == [1_000, 2_000, 2_500]
    assert [row["year"] for row in years.scan()] == list(range(2_500))


def test_a_reader_is_read_as_its_rows_are_written(years: lutra.Table) -> None:
    """However long it is, little of it is in memory."""
    made: list[int] = []

    def batches() -> Iterator[Any]:
        for first in range(0, 10_000, 500):
            made.append(first)
            yield pa.record_batch({"id": np.arange(first, first + 500), "year": np.arange(500)})

    ahead: list[int] = []
    schema = pa.schema({"id": pa.int64(), "year": pa.int64()})
    for rows in (pa.RecordBatchReader.from_batches(schema, batches()), batches()):
        made.clear()
        assert years.put_many(rows, progress=lambda written: ahead.append(len(made) * 500 - written)) == 10_000
    assert max(ahead) <= 500


def test_rows_that_are_at_hand_come_in_as_few_commits(years: lutra.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = lutra.Table._write_changes
    monkeypatch.setattr(
        lutra.Table, "_write_changes", lambda table, changes: sizes.append(len(changes)) or write(table, changes)
    )
    rejected: list[lutra.Rejected] = []
    rows = [{"id": n, "year": n if n != 7 else "x"} for n in range(2_500)]
    assert put_together(years, rows, rejected.append) == 2_499
    assert sizes == [1_000, 1_000, 499]
    assert [one.number for one in rejected] == [7]


def test_large_rows_come_in_smaller_commits(db: lutra.Database) -> None:
    bodies = db.create_table("bodies", {"id": int}, {"body": lutra.Stored(str)})
    seen: list[int] = []
    texts = ["x" * 1_000_000, "é" * 500_000, "y" * 10, "z" * 2_000_000, "w"]
    assert bodies.put_many(pa.table({"id": range(5), "body": texts}), progress=seen.append) == 5
    assert seen == [3, 5]
    assert [row["body"] for row in bodies.scan()] == texts


def test_rows_of_long_keys_and_names_come_in_smaller_commits(db: lutra.Database) -> None:
    table = db.create_table("t", {name * 255: str for name in "abcd"})
    rows = [{**{name * 255: f"{n:01024}" for name in "abcd"}, "x" * 255: n} for n in range(1_000)]
    for shape in ("dicts", "arrow"):
        seen: list[int] = []
        assert table.put_many(SHAPES[shape](rows), progress=seen.append) == 1_000
        assert len(table) == 1_000
        assert len(seen) > 1


def test_a_row_that_is_too_large_is_rejected_by_itself(db: lutra.Database) -> None:
    table = db.create_table("t", {"id": int})
    rows = [{"id": n, **{f"c{i}": "x" * (2_000_000 if n == 1 else 1) for i in range(3)}} for n in range(3)]
    for shape in ("dicts", "arrow", "pandas"):
        rejected: list[lutra.Rejected] = []
        assert table.put_many(SHAPES[shape](rows), rejected=rejected.append) == 2
        assert [one.number for one in rejected] == [1]
        assert "exceeds the limit" in str(rejected[0].error)
        with pytest.raises(
            lutra.ParameterInvalid, match=r"row 1: .*exceeds the limit.*; the 1 rows before it are written"
        ):
            table.put_many(SHAPES[shape](rows))


def test_a_frame_of_no_rows_writes_none(years: lutra.Table) -> None:
    for frame in (pa.table({"id": pa.array([], pa.int64())}), pd.DataFrame({"id": []}), []):
        assert years.put_many(frame) == 0


# --- names ------------------------------------------------------------------------------------------------------------


def test_columns_are_renamed_and_left_out(years: lutra.Table) -> None:
    rows = [{"number": 1, "when": 2020, "note": "x"}, {"number": 2, "when": 2021, "note": "y"}]
    for shape in ("dicts", "arrow", "pandas"):
        years.put_many(SHAPES[shape](rows), columns={"number": "id", "when": "year", "note": None})
        assert [dict(row) for row in years.scan()] == [{"id": 1, "year": 2020}, {"id": 2, "year": 2021}]
        years.delete_many([1, 2])


def test_an_index_of_pandas_with_a_name_is_a_column(years: lutra.Table) -> None:
    frame = pd.DataFrame({"id": [1, 2], "year": [3, 4]})
    years.put_many(frame.set_index("id"))
    years.put_many(frame[frame["year"] == 4])  # its index has no name
    years.put_many(frame.set_index(["id", "year"]))
    assert [dict(row) for row in years.scan()] == [{"id": 1, "year": 3}, {"id": 2, "year": 4}]


@pytest.mark.parametrize(
    ("frame", "columns", "complaint"),
    [
        ({"id": [1], "yaer": [2]}, None, "no column 'yaer': it has id, year, price, ok, kind; did you mean 'year'\\? "),
        ({"id": [1], "colour": ["x"]}, None, r"no column 'colour': .*leave out: columns=\{'colour': None\}"),
        ({"ID": [1], "year": [1]}, None, "no column 'ID': .*did you mean 'id'"),
        ({"key": [1], "year": [1]}, {"key": None}, "nothing is given for the key column 'id': there are key, year"),
        (
            {"id": [1], "year": [1]},
            {"yeer": "year"},
            "columns= names 'yeer', but what is given has id, year; did you m",
        ),
        ({"id": [1], "year": [1]}, ["id", "year"], "columns= is a dict that says what columns are called"),
        ({"id": [1], "year": [1]}, {"year": "yere"}, "no column 'yere': .*did you mean 'year'"),
        ({"id": [1], "year": [1], "when": [1]}, {"when": "year"}, "both 'year' and 'when' are to be column 'year'"),
    ],
)
def test_names_that_do_not_fit(years: lutra.Table, frame: Any, columns: Any, complaint: str) -> None:
    for make in (pa.table, pd.DataFrame):
        with pytest.raises(lutra.ParameterInvalid, match=complaint):
            years.put_many(make(frame), columns=columns)
    assert years.count() == 0


def test_a_path_is_no_rows(years: lutra.Table) -> None:
    with pytest.raises(lutra.ParameterInvalid, match="not one str: read the file first"):
        years.put_many("years.csv")


def test_names_that_frames_can_have_and_tables_cannot(years: lutra.Table) -> None:
    with pytest.raises(lutra.ParameterInvalid, match="the frame has a column 0, but"):
        years.put_many(pd.DataFrame([[1, 2]]))
    with pytest.raises(lutra.ParameterInvalid, match="several columns 'id'"):
        years.put_many(pd.DataFrame([[1, 2]], columns=["id", "id"]))
    with pytest.raises(lutra.ParameterInvalid, match="several columns are to be column 'year', 'when' among them"):
        years.put_many([{"id": 1, "year": 1, "when": 2}], columns={"when": "year"})


def test_an_open_table_takes_any_column_of_a_frame(db: lutra.Database) -> None:
    events = db.create_table("events", {"id": int})
    frame = pd.DataFrame({"id": [1, 2], "n": [1, 2], "x": [0.5, math.nan], "ok": [True, False], "s": ["a", None]})
    for one in (frame, pa.Table.from_pandas(frame)):
        events.put_many(one)
        rows = [dict(row) for row in events.scan()]
        assert rows == [{"id": 1, "n": 1, "ok": True, "s": "a", "x": 0.5}, {"id": 2, "n": 2, "ok": False}]
    with pytest.raises(lutra.ParameterInvalid, match="row 0: column 'v': a table without declared fields takes str"):
        events.put_many(pa.table({"id": [3], "v": [[1, 2]]}))
    bad: list[lutra.Rejected] = []
    frame = pd.DataFrame({"id": [3, 4], "#x": ["a", None]})
    assert events.put_many(frame, rejected=bad.append) == 1
    assert [(one.number, one.row) for one in bad] == [(0, {"id": 3, "#x": "a"})]
    with pytest.raises(lutra.ParameterInvalid, match=r"row 0: .*#x.*; nothing is written"):
        events.put_many(frame)


# --- rejected rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["dicts", "arrow", "pandas"])
def test_rejected_rows_are_told_of_and_the_others_written(years: lutra.Table, shape: str) -> None:
    rows: list[dict[str, Any]] = [{"id": n, "year": float(n), "kind": "x"} for n in range(3_000)]
    rows[5]["year"] = 0.5
    rows[2_999]["kind"] = "x" * 5_000
    rejected: list[lutra.Rejected] = []
    assert years.put_many(SHAPES[shape](rows), rejected=rejected.append) == 2_998
    assert [(one.number, one.row) for one in rejected] == [(5, rows[5]), (2_999, rows[2_999])]
    assert str(rejected[0].error) == "field 'year': expected int, got float 0.5"
    assert years.count() == 2_998
    with pytest.raises(lutra.ParameterInvalid, match=r"row 5: field 'year'.*; nothing is written"):
        years.put_many(SHAPES[shape](rows))
    del rows[5]
    with pytest.raises(lutra.ParameterInvalid, match=r"row 2998: field 'kind'.*; the 2\d00 rows before it are written"):
        years.put_many(SHAPES[shape](rows))


def test_of_a_row_the_first_thing_that_is_wrong_is_told(years: lutra.Table) -> None:
    rejected: list[lutra.Rejected] = []
    frame = pd.DataFrame({"id": [math.nan, 1], "year": [0.5, 1], "price": [math.inf, 1]})
    assert years.put_many(frame, rejected=rejected.append) == 1
    [one] = rejected
    assert isinstance(one.error, lutra.InvalidPrimaryKey)
    assert one.row == {"year": 0.5, "price": math.inf}


@pytest.mark.parametrize("wrong", [{"id": 1}, "abc", 5, None])
def test_what_is_no_list_of_rows_is_refused(years: lutra.Table, wrong: Any) -> None:
    with pytest.raises(lutra.ParameterInvalid, match="put_many takes a list of rows, or a frame, not one"):
        years.put_many(wrong)


@pytest.mark.parametrize("wrong", [pa.array([1]), pa.chunked_array([[1]]), pd.Series([1]), pa.array([[1]])])
def test_one_column_is_no_frame(years: lutra.Table, wrong: Any) -> None:
    with pytest.raises(lutra.ParameterInvalid, match="does not have rows of named columns"):
        years.put_many(wrong)


# --- there and back ---------------------------------------------------------------------------------------------------

ROUND_FIELDS: dict[str, Any] = {
    "n": int,
    "x": float,
    "ok": bool,
    "s": lutra.Stored(str),
    "at": dt.datetime,
    "tags": list[str],
    "raw": bytes,
    "v": lutra.Vector(2),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(-(2**63), 2**63 - 1),
    "x": FLOATS,
    "ok": st.booleans(),
    "s": TEXTS,
    "at": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(UTC)),
    "tags": st.lists(TEXTS, max_size=3),
    "raw": st.binary(max_size=5),
    "v": st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=2, max_size=2),
}
ARROW = pa.schema(
    [
        ("id", pa.int64()),
        ("n", pa.int64()),
        ("x", pa.float64()),
        ("ok", pa.bool_()),
        ("s", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("tags", pa.list_(pa.string())),
        ("raw", pa.binary()),
        ("v", pa.list_(pa.float32(), 2)),
    ]
)


@given(
    st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=6),
    st.sampled_from(["arrow", "pandas", "pandas of Arrow", "dicts", "records"]),
)
@settings(max_examples=80, deadline=None)
def test_a_frame_comes_back_as_it_was(round_trips: lutra.Table, rows: list[dict[str, Any]], shape: str) -> None:
    frame = pa.Table.from_pylist([{"id": number, **row} for number, row in enumerate(rows)], ARROW)
    ways: dict[str, Any] = {
        "arrow": lambda: frame,
        "pandas": lambda: frame.to_pandas(integer_object_nulls=True),
        "pandas of Arrow": lambda: frame.to_pandas(types_mapper=pd.ArrowDtype),
        "dicts": frame.to_pylist,
        "records": lambda: frame.to_pandas(integer_object_nulls=True).to_dict("records"),
    }
    round_trips.delete_many(range(6))
    assert round_trips.put_many(ways[shape]()) == len(rows)
    names = ["n", "x", "ok", "s", "at", "tags", "raw", "v"]
    back = round_trips.search(limit=10, columns=names).to_arrow()
    assert back.equals(frame)


@pytest.fixture(scope="module")
def round_trips() -> Iterator[lutra.Table]:
    with lutra.connect() as database:
        yield database.create_table("trips", {"id": int}, ROUND_FIELDS)


def test_columns_of_a_few_values_are_what_they_say(years: lutra.Table) -> None:
    texts = pa.array(["x", None, "y", "x"]).dictionary_encode()
    numbers = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1], pa.int8()), pa.array([5, None]))
    years.put_many(pa.table({"id": range(4), "kind": texts, "year": numbers}))
    years.put_many(pa.table({"id": [4], "kind": pa.array([None], pa.dictionary(pa.int8(), pa.string()))}))
    assert [dict(row) for row in years.scan()] == [
        {"id": 0, "kind": "x", "year": 5},
        {"id": 1},
        {"id": 2, "kind": "y"},
        {"id": 3, "kind": "x"},
        {"id": 4},
    ]
