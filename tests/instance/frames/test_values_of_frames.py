"""Values of frames: gaps, numbers, vectors and dates."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.frame_rows import AT, SHAPES, UTC, arrow_of, plain

import lutra

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
