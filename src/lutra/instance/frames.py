"""Rows as tables of other libraries: Arrow and pandas."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lutra.instance.field import Field, Kind
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Columns = Mapping[str, Field | None]
"""What is known of the values of each; None: nothing."""
Rows = Sequence[Mapping[str, Any]]


def arrow(columns: Columns, rows: Rows) -> pa.Table:
    """Raises ImportError where pyarrow is not installed, ParameterInvalid where no one Arrow type takes a column."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ImportError("to_arrow() needs pyarrow: pip install 'lutra[arrow]'") from error
    return pa.table({name: _arrow_array(pa, name, field, rows) for name, field in columns.items()})


def pandas(columns: Columns, rows: Rows) -> pd.DataFrame:
    """Raises ImportError where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas: pip install 'lutra[pandas]'") from error
    series = {}
    for name, field in columns.items():
        values = [row.get(name) for row in rows]
        series[name] = pd.Series(values, dtype=_pandas_type(values, field))
    return pd.DataFrame(series, index=pd.RangeIndex(len(rows)))


def _arrow_array(pa: ModuleType, name: str, field: Field | None, rows: Rows) -> pa.Array[Any]:
    values = [row.get(name) for row in rows]
    if field is not None and field.vector is not None:
        array = _vector_array(pa, field.vector.dimension, values)
        if array is not None:
            return array
    values = [_plain(value) for value in values]
    try:
        return pa.array(values, None if field is None or field.is_open else _arrow_type(pa, field))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ParameterInvalid(
            f"column {name!r} holds values that no one Arrow type takes ({error}): use to_list() or to_pandas(), "
            "or leave it out by columns="
        ) from error


def _vector_array(pa: ModuleType, dimension: int, values: Sequence[Any]) -> pa.Array[Any] | None:
    """All at once; None where what a row has is no vector of the field's."""
    missing = np.array([value is None for value in values], dtype=np.bool_)
    matrix = np.zeros((len(values), dimension), dtype=np.float32)
    for place, value in enumerate(values):
        if isinstance(value, np.ndarray) and value.shape == (dimension,) and value.dtype == np.float32:
            matrix[place] = value
        elif value is not None:
            return None
    mask = pa.array(missing) if missing.any() else None
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), dimension, mask=mask)


def _plain(value: Any) -> Any:
    """Points as dicts, wherever they are; percentiles as pairs."""
    if isinstance(value, GeoPoint):
        return {"lat": value.lat, "lon": value.lon}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return value


def _pandas_type(values: list[Any], field: Field | None) -> str:
    """Of a column; rows written through another door can hold other values than its field's, which stay objects."""
    given = [value for value in values if value is not None]
    types = {type(value) for value in given}
    if field is not None and not types:
        kind = None if field.is_array else field.kind
    else:
        kind = _KINDS_OF_PANDAS.get(types.pop()) if len(types) == 1 else None
    if kind is None or kind not in _PANDAS_TYPES:
        return "object"
    whole, with_gaps = _PANDAS_TYPES[kind]
    return whole if len(given) == len(values) else with_gaps


_KINDS_OF_PANDAS: Final[dict[type, Kind]] = {
    int: Kind.INT,
    float: Kind.FLOAT,
    bool: Kind.BOOL,
    dt.datetime: Kind.DATETIME,
}
_PANDAS_TYPES: Final = {
    Kind.INT: ("int64", "Int64"),
    Kind.FLOAT: ("float64", "float64"),
    Kind.BOOL: ("bool", "boolean"),
    Kind.DATETIME: ("datetime64[us, UTC]", "datetime64[us, UTC]"),
}
"""Of a column that all rows have, and of one that some do not."""


def _arrow_type(pa: ModuleType, field: Field) -> pa.DataType:
    element: Any = {
        Kind.STR: lambda: pa.string(),
        Kind.TEXT: lambda: pa.string(),
        Kind.INT: lambda: pa.int64(),
        Kind.FLOAT: lambda: pa.float64(),
        Kind.BOOL: lambda: pa.bool_(),
        Kind.BYTES: lambda: pa.binary(),
        Kind.DATETIME: lambda: pa.timestamp("us", tz="UTC"),
        Kind.VECTOR: lambda: pa.float32(),
        Kind.GEO: lambda: pa.struct({"lat": pa.float64(), "lon": pa.float64()}),
        Kind.RECORD: lambda: _arrow_struct(pa, field),
        Kind.OBJECT: lambda: _arrow_struct(pa, field),
    }[field.kind]()
    if field.vector is not None:
        return pa.list_(element, field.vector.dimension)
    return pa.list_(element) if field.is_array or field.kind is Kind.RECORD else element


def _arrow_struct(pa: ModuleType, field: Field) -> pa.DataType:
    return pa.struct({one.name: _arrow_type(pa, one) for one in field.fields})
