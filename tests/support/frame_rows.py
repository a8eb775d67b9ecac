"""Rows of all kinds of columns, and frames that only speak Arrow's interface."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pyarrow as pa

import lutra

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
