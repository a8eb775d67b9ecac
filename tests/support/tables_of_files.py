"""Tables with a column of each kind, rows for them, and files of text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

import lutra

KEY: dict[str, Any] = {"id": str, "n": int}
FIELDS: dict[str, Any] = {
    "word": str,
    "count": int,
    "price": float,
    "ok": bool,
    "at": dt.datetime,
    "words": list[str],
    "numbers": list[int],
    "floats": list[float],
    "moments": list[dt.datetime],
    "place": lutra.GeoPoint,
    "text": lutra.Text("single_word"),
    "stored": lutra.Stored(str),
    "blob": bytes,
    "vector": lutra.Vector(3, "euclidean"),
    "items": lutra.Nested({"sku": str, "price": float, "at": dt.datetime}),
    "author": lutra.Object({"name": str, "born": int}),
}

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_moment = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))
_int = st.integers(-(2**63), 2**63 - 1)
_float = st.floats(allow_nan=False, allow_infinity=False)
_float32 = st.floats(allow_nan=False, allow_infinity=False, width=32)
_point = st.builds(lutra.GeoPoint, st.floats(-90, 90), st.floats(-180, 180))


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Not all rows have all of them."""
    return st.fixed_dictionaries({}, optional=fields)


values = _some(
    word=_text,
    count=_int,
    price=_float,
    ok=st.booleans(),
    at=_moment,
    words=st.lists(_text, max_size=3),
    numbers=st.lists(_int, max_size=3),
    floats=st.lists(_float, max_size=3),
    moments=st.lists(_moment, max_size=2),
    place=_point,
    text=_text,
    stored=_text,
    blob=st.binary(max_size=10),
    vector=st.lists(_float32, min_size=3, max_size=3),
    items=st.lists(_some(sku=_text, price=_float, at=_moment), max_size=2),
    author=_some(name=_text, born=_int),
)
rows = st.dictionaries(st.tuples(_text, _int), values, max_size=6).map(
    lambda by_key: [{"id": key[0], "n": key[1], **row} for key, row in by_key.items()]
)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """To be compared."""
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in row.items()}


def all_of(table: lutra.Table) -> list[dict[str, Any]]:
    """The rows of a table, by their keys."""
    return [plain(row) for row in table.scan()]
