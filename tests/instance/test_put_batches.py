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

import lutra
from lutra.instance.table_writer import put_together

UTC = dt.UTC
AT = dt.datetime(2024, 5, 1, 12, 30, 0, 5, tzinfo=UTC)

FIELDS: dict[str, Any] = {
    "kind": str,
    "year": int,
    "price": float,
    "ok": bool,
    "at": dt.datetime,
    "tags": list[str],
    "raw": bytes,
    "v": lutra.Vector(3),
    "place": lutra.GeoPoint,
    "items": lutra.Nested({"sku": str, "price": float}),
    "author": lutra.Object({"name": str, "age": int}),
    "body": lutra.Stored(str),
}
ROW = {
    "id": "a",
    "kind": "é",
    "year": 2020,
    "price": 1.5,
    "ok": True,
    "at": AT,
    "tags": ["p", "q"],
    "raw": b"\x00",
    "v": [1.0, 0.0, 0.5],
    "place": {"lat": 52.5, "lon": 13.4},
    "items": [{"sku": "tea", "price": 4.0}, {"sku": "pot", "price": None}],
    "author": {"name": "Ada", "age": 36},
    "body": "x" * 5_000,
}


@pytest.fixture(scope="module")
def database() -> Iterator[lutra.Database]:
    with lutra.connect() as opened:
        yield opened


@pytest.fixture
def db(database: lutra.Database) -> Iterator[lutra.Database]:
    """Without tables; opening one takes longer than all else in most tests."""
    yield database
    for name in database.table_names():
        database.delete_table(name)


@pytest.fixture
def things(db: lutra.Database) -> lutra.Table:
    return db.create_table("things", {"id": str}, FIELDS)


@pytest.fixture
def years(db: lutra.Database) -> lutra.Table:
    return db.create_table("years", {"id": int}, {"year": int, "price": float, "ok": bool, "kind": str})


class Stream:
    """Has what the Arrow C stream interface asks for, and nothing else."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Batch:
    """As `Stream`, of one batch."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return self._batch.__arrow_c_array__(requested_schema)


def plain(row: Any) -> dict[str, Any]:
    values = dict(row)
    if "v" in values:
        values["v"] = values["v"].tolist()
    return values


# --- shapes of frames -------------------------------------------------------------------------------------------------


def arrow_of(rows: list[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist(rows)


SHAPES = {
    "dicts": lambda rows: rows,
    "arrow": arrow_of,
    "batch": lambda rows: arrow_of(rows).combine_chunks().to_batches()[0],
    "reader": lambda rows: arrow_of(rows).to_reader(max_chunksize=1),
    "stream": lambda rows: Stream(arrow_of(rows)),
    "array": lambda rows: Batch(arrow_of(rows).to_batches()[0]),
    "batches": lambda rows: iter(arrow_of(rows).to_batches(max_chunksize=1)),
    "pandas": pd.DataFrame,
    "pandas of Arrow": lambda rows: arrow_of(rows).to_pandas(types_mapper=pd.ArrowDtype),
    "records": lambda rows: pd.DataFrame(rows).to_dict("records"),
    "frames": lambda rows: [pd.DataFrame([row]) for row in rows],
}


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


# --- gaps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [None, math.nan, np.float32("nan"), pd.NaT, pd.NA, np.datetime64("NaT")])
@pytest.mark.parametrize("field", ["year", "price", "ok", "at", "kind", "tags", "v", "place", "items", "author", "raw"])
def test_what_frames_have_for_nothing_is_nothing(things: lutra.Table, field: str, gap: Any) -> None:
    things.put_many([{"id": "a", field: gap}])
    things.put_many(pd.DataFrame({"id": ["b"], field: pd.Series([gap], dtype=object)}))
    things.put({"id": "c", field: gap})
    assert [dict(row) for row in things.scan()] == [{"id": "a"}, {"id": "b"}, {"id": "c"}]


def test_records_have_gaps_too(things: lutra.Table) -> None:
    items = [{"sku": "tea", "price": math.nan}, {"sku": None, "price": 1.0}]
    things.put_many(pd.DataFrame({"id": ["a"], "items": [items], "author": [{"name": "Ada", "age": math.nan}]}))
    assert plain(things.get("a")) == {"id": "a", "items": [{"sku": "tea"}, {"price": 1.0}], "author": {"name": "Ada"}}
    with pytest.raises(lutra.ParameterInvalid, match="record 0: field 'price': the value is infinite"):
        things.put({"id": "b", "items": [{"price": math.inf}]})


def test_columns_with_masks_have_gaps(years: lutra.Table) -> None:
    frame = pd.DataFrame(
        {
            "id": pd.Series([1, 2], dtype="UInt8"),
            "year": pd.Series([None, 5], dtype="Int64"),
            "price": pd.Series([0.5, None], dtype="Float32"),
            "ok": pd.Series([None, False], dtype="boolean"),
            "kind": pd.Series(["x", None], dtype="category"),
        }
    )
    years.put_many(frame)
    assert [dict(row) for row in years.scan()] == [
        {"id": 1, "kind": "x", "price": 0.5},
        {"id": 2, "ok": False, "year": 5},
    ]


def test_a_key_is_never_missing(years: lutra.Table) -> None:
    for rows in ([{"id": math.nan}], pd.DataFrame({"id": [math.nan]}), pa.table({"id": pa.array([None], pa.int32())})):
        with pytest.raises(lutra.InvalidPrimaryKey, match="row 0: the row has no value for the key column 'id'"):
            years.put_many(rows)


def test_keys_that_the_table_chooses_need_no_column(db: lutra.Database) -> None:
    log = db.create_table("log", {"stream": str, "number": lutra.AUTO_INCREMENT})
    log.put_many(pd.DataFrame({"stream": ["s", "s"], "text": ["one", "two"]}))
    log.put_many(pa.table({"stream": ["s"], "number": pa.array([None], pa.int64()), "text": ["three"]}))
    assert [row["text"] for row in log.scan("s")] == ["one", "two", "three"]


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_whole_floats_are_ints(years: lutra.Table) -> None:
    years.put_many(pd.DataFrame({"id": [1.0, 2.0], "year": [2020.0, math.nan]}))
    years.put_many([{"id": 3.0, "year": np.float32(-7)}])
    assert [dict(row) for row in years.scan()] == [{"id": 1, "year": 2020}, {"id": 2}, {"id": 3, "year": -7}]
    years.update(1, set={"year": 2021.0})
    assert (years.get(1) or {})["year"] == 2021


@pytest.mark.parametrize("shape", ["dicts", "arrow", "pandas"])
@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            [{"id": 1, "year": 1.0}, {"id": 2, "year": 0.5}],
            r"row 1: field 'year': expected int, got float 0\.5; nothing",
        ),
        ([{"id": 1, "year": 2.0**53 + 2}], "row 0: field 'year': .* may be an int that was rounded"),
        ([{"id": 1, "year": math.inf}], "row 0: field 'year': expected int, got float inf"),
        ([{"id": 1.5, "year": 1}], r"row 0: key column 'id': expected int, got float 1\.5"),
        ([{"id": 1, "year": 2**63}], "row 0: field 'year': 9223372036854775808 does not fit 64 bits"),
        ([{"id": 1, "year": True}], "row 0: field 'year': expected int, got bool True"),
        ([{"id": 1, "price": math.inf}], "row 0: field 'price': the value is infinite"),
        ([{"id": 1, "price": "1.5"}], "row 0: field 'price': expected float, got str '1.5'"),
        ([{"id": 1, "ok": 1}], "row 0: field 'ok': expected bool, got int 1"),
        ([{"id": 1, "kind": 1}], "row 0: field 'kind': expected str, got int 1"),
        ([{"id": 1, "kind": "x"}, {"id": 2, "kind": "x" * 5_000}], "row 1: field 'kind': 5,000 bytes of text"),
        ([{"id": 1, "kind": "é" * 2_049}], "row 0: field 'kind': 4,098 bytes of text"),
    ],
)
def test_bad_values_are_named_by_row_and_column(
    years: lutra.Table, shape: str, rows: list[dict[str, Any]], complaint: str
) -> None:
    if shape == "arrow" and rows[0].get("year") == 2**63:
        frame = pa.table({"id": [1], "year": pa.array([2**63], pa.uint64())})
    else:
        frame = SHAPES[shape](rows)
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        years.put_many(frame)
    assert list(years.scan()) == []


def test_ints_and_floats_of_every_width(years: lutra.Table) -> None:
    for number, dtype in enumerate(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]):
        years.put_many(pd.DataFrame({"id": np.array([number], dtype), "price": np.array([1], dtype)}))
    for number, dtype in enumerate(["float16", "float32", "float64"], 8):
        years.put_many(pa.table({"id": [number], "price": pa.array(np.array([0.5], dtype))}))
    assert [row["price"] for row in years.scan()] == [1.0] * 8 + [0.5] * 3


# --- vectors ----------------------------------------------------------------------------------------------------------

MATRIX = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)


@pytest.mark.parametrize(
    "vectors",
    [
        pa.FixedSizeListArray.from_arrays(pa.array(MATRIX.ravel()), 3),
        pa.FixedSizeListArray.from_arrays(pa.array(np.r_[[0, 0, 0], MATRIX.ravel()]), 3)[1:],
        pa.array(MATRIX.tolist(), pa.list_(pa.float64())),
        pa.array([[0.0], *MATRIX.tolist()], pa.list_(pa.float32()))[1:],
        pa.array(MATRIX.tolist(), pa.large_list(pa.float16())),
        pa.array(MATRIX.astype(int).tolist(), pa.list_(pa.int8(), 3)),
        pd.Series(list(MATRIX)),
        pd.Series(MATRIX.tolist()),
        pd.Series([tuple(row) for row in MATRIX]),
        pd.Series([np.float64([1, 2, 3]), [4, 5, 6], (7, 8, 9)]),
    ],
)
def test_vectors_are_lists_of_any_kind(things: lutra.Table, vectors: Any) -> None:
    is_arrow = isinstance(vectors, pa.Array)
    frame = pa.table({"id": ["a", "b", "c"], "v": vectors}) if is_arrow else pd.DataFrame({"id": ["a", "b", "c"]})
    if not is_arrow:
        frame["v"] = vectors
    things.put_many(frame)
    np.testing.assert_array_equal([row["v"] for row in things.scan()], MATRIX)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32(), 2), pa.list_(pa.float32()), pa.large_list(pa.float64())])
def test_vectors_may_be_missing(db: lutra.Database, kind: Any) -> None:
    table = db.create_table("vectors", {"id": int}, {"v": lutra.Vector(2)})
    rows = [[1.0, 2.0], None, [3.0, 4.0], None]
    frame = pa.table({"id": range(4), "v": pa.array(rows, kind)})
    for one in (frame, frame.to_pandas()):
        table.put_many(one)
        assert [row["v"].tolist() if "v" in row else None for row in table.scan()] == rows
    table.put_many(frame.slice(1, 2))
    assert [row["v"].tolist() if "v" in row else None for row in table.scan()] == rows


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ([1.0, 2.0], r"expected a vector of 3 numbers, got an array of \w+ and shape \(2,\)"),
        ([1.0, math.nan, 0.0], "element 1 of the vector is NaN"),
        ([1.0, None, 0.0], "element 1 of the vector is NaN|expected a vector of 3 numbers, got an array of object"),
        ([1.0, 0.0, 1e300], "element 2 of the vector is infinite, or too large"),
    ],
)
def test_a_bad_vector_is_named_and_others_are_not(things: lutra.Table, wrong: Any, complaint: str) -> None:
    rows = [{"id": "a", "v": [1.0, 2.0, 3.0]}, {"id": "b", "v": wrong}, {"id": "c", "v": [0.0, 0.0, 1.0]}]
    for shape in ("dicts", "arrow", "pandas"):
        with pytest.raises(lutra.ParameterInvalid, match=f"row 1: field 'v': ({complaint}).*; nothing is written"):
            things.put_many(SHAPES[shape](rows))
        rejected: list[lutra.Rejected] = []
        assert things.put_many(SHAPES[shape](rows), rejected=rejected.append) == 2
        assert [one.number for one in rejected] == [1]
        assert [row["id"] for row in things.scan()] == ["a", "c"]
        things.delete_many(["a", "c"])


def test_vectors_of_a_table_of_an_sdk_are_text(db: lutra.Database) -> None:
    rows = [{"id": "a", "items": [{"v": [1.0, 2.0]}]}]
    table = db.create_table("nested", {"id": str}, {"items": lutra.Nested({"v": lutra.Vector(2)})})
    table.put_many(arrow_of(rows))
    assert (table.get("a") or {})["items"][0]["v"].tolist() == [1.0, 2.0]


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_moments_of_every_unit_and_zone(things: lutra.Table, unit: str, zone: str) -> None:
    at = dt.datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
    frame = pa.table({"id": ["a", "b"], "at": pa.array([at, None], pa.timestamp(unit, zone))})
    for one in (frame, frame.to_pandas(), frame.to_pandas(types_mapper=pd.ArrowDtype)):
        things.put_many(one)
        assert [dict(row) for row in things.scan()] == [{"id": "a", "at": at}, {"id": "b"}]


@pytest.mark.parametrize(
    ("moments", "complaint"),
    [
        (
            pa.array([AT, AT], pa.timestamp("us")),
            r"row 0: field 'at': the datetime has no time zone.*tz_localize\('UTC'\)",
        ),
        (
            pa.array([1_000, 1_001], pa.timestamp("ns", "UTC")),
            r"row 1: field 'at': 1970-01-01 00:00:00\.000001001\+00:00 cannot be stored: the column holds whole micro",
        ),
        (pa.array([0, 10**12], pa.timestamp("s", "UTC")), "row 1: field 'at'"),
        (pa.array([0, -(10**10)], pa.timestamp("s", "UTC")), r"row 1: field 'at': 1653-.* is out of range"),
        (pa.array([dt.date(2020, 1, 1)] * 2), "row 0: field 'at': expected datetime.datetime, got date"),
    ],
)
def test_moments_that_cannot_be_stored(things: lutra.Table, moments: Any, complaint: str) -> None:
    frame = pa.table({"id": ["a", "b"], "at": moments})
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        things.put_many(frame)


def test_moments_of_rejected_rows_are_plain_datetimes(things: lutra.Table) -> None:
    bad: list[lutra.Rejected] = []
    frame = pd.DataFrame({"id": ["a"], "at": [pd.Timestamp(AT)], "year": ["?"]})
    assert things.put_many(frame, rejected=bad.append) == 0
    assert bad[0].row == {"id": "a", "at": AT, "year": "?"}
    assert type(bad[0].row["at"]) is dt.datetime
    assert things.put_many(pd.DataFrame({"id": ["a"], "kind": [pd.Timestamp(AT)]}), rejected=bad.append) == 0
    assert str(bad[1].error).startswith("field 'kind': expected str, got datetime ")


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
