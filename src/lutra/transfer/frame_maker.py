"""Batches of Arrow as batches of a table's columns, where no value of them has to be looked at by itself."""

from __future__ import annotations

from typing import Any

from lutra.instance.field import Field, Kind
from lutra.transfer.mapping import Place
from lutra.transfer.plan import FILE_COLUMN, ROW_COLUMN, Plan


class FrameMaker:
    """Makes the batches of one file."""

    def __init__(self, plan: Plan, file_name: str) -> None:
        self._plan = plan
        self._file_name = file_name if plan.has_made_key else None
        self._fields = {column.name: plan.field(column) for column in plan.columns}

    def frame(self, batch: Any, first_number: int) -> Any:
        """A pyarrow.RecordBatch of the table's columns; None where rows have to be converted one by one.

        ``first_number``: of its first row in the file, from 1.
        """
        import pyarrow as pa

        arrays: dict[str, Any] = {}
        for column in self._plan.columns:
            if column.place is not None:
                points = _points(pa, column.place, batch)
                if points is None:
                    return None
                arrays[column.name] = points
            elif column.source in batch.schema.names:
                array = batch.column(column.source)
                if pa.types.is_null(array.type):
                    continue
                if column.unit is not None or not _fits(pa, self._fields[column.name], array.type):
                    return None
                arrays[column.name] = array
        if self._file_name is not None:
            arrays[FILE_COLUMN] = pa.repeat(self._file_name, batch.num_rows)
            arrays[ROW_COLUMN] = pa.array(range(first_number, first_number + batch.num_rows), pa.int64())
        if any(column.is_key and column.name not in arrays for column in self._plan.columns):
            return None
        return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _fits(pa: Any, field: Field, kind: Any) -> bool:
    """Whether a table takes values of an Arrow type as they are."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    is_list: bool = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if field.vector is not None:
        return bool(is_list and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)))
    if field.is_array:
        return is_list and _fits_element(pa, field, kind.value_type)
    return _fits_element(pa, field, kind)


def _fits_element(pa: Any, field: Field, kind: Any) -> bool:
    types = pa.types
    match field.kind:
        case Kind.STR | Kind.TEXT:
            return bool(types.is_string(kind))
        case Kind.INT | Kind.FLOAT:
            return bool(types.is_integer(kind) or types.is_floating(kind))
        case Kind.BOOL:
            return bool(types.is_boolean(kind))
        case Kind.BYTES:
            return bool(types.is_binary(kind))
        case Kind.DATETIME:
            return bool(types.is_timestamp(kind) and kind.tz is not None)
    return False  # what has fields within


def _points(pa: Any, place: Place, batch: Any) -> Any:
    """A column of structs, null where both are; None where only one of them is, somewhere, or they are no numbers."""
    if place.lat not in batch.schema.names or place.lon not in batch.schema.names:
        return None
    lat, lon = batch.column(place.lat), batch.column(place.lon)
    if not all(pa.types.is_floating(one.type) or pa.types.is_integer(one.type) for one in (lat, lon)):
        return None
    missing = lat.is_null()
    if not missing.equals(lon.is_null()):
        return None
    return pa.StructArray.from_arrays([lat, lon], names=["lat", "lon"], mask=missing)
