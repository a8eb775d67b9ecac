"""By a field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lutra.fields.kinds import kind_of
from lutra.index.definitions.sorters.registry import (
    SorterKind,
    field_of,
    knows,
    nested_filter_in,
    nested_filter_out,
    space_of,
)
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.queries import FieldSort, Missing, SortMode
from lutra.scalars.sorting import check_mode
from lutra.scalars.values import ScalarReader


@knows(FieldSort)
class FieldSortKind(SorterKind):
    name = "field"

    def check(self, schema: IndexSchema, sorter: FieldSort, space: str) -> None:
        space = space_of(schema, "field_sort", sorter.nested_filter, space)
        field = sortable(schema, sorter.field, space)
        if len(sorter.missing_fields) > limits.MISSING_FIELDS_MAX:
            raise ParameterInvalid(
                f"[field_sort] field: {sorter.field} has {len(sorter.missing_fields)} missing fields, "
                f"more than {limits.MISSING_FIELDS_MAX}"
            )
        others = [sortable(schema, name, space) for name in sorter.missing_fields]
        for other in others:
            if other.type is not field.type:
                raise ParameterInvalid(
                    f"[field_sort] missing field: {other.name} is of type {other.type.name}, "
                    f"field: {field.name} of type {field.type.name}: they must be of one type"
                )
        if sorter.mode is not None:
            for one in (field, *others):
                check_mode(one if sorter.nested_filter is None else replace(one, is_array=True), sorter.mode)
        if sorter.missing is not None and not isinstance(sorter.missing, Missing):
            ScalarReader(field).stand_in(sorter.missing)

    def out(self, sorter: FieldSort) -> dict[str, Any]:
        missing = sorter.missing
        told: dict[str, Any] = {"field": sorter.field, "mode": None if sorter.mode is None else sorter.mode.name}
        if isinstance(missing, Missing):
            told |= {"missing": None, "missing_rows": missing.name}
        else:
            told["missing"] = missing
        told |= nested_filter_out(sorter.nested_filter)
        return {**told, "missing_fields": list(sorter.missing_fields)} if sorter.missing_fields else told

    def read(self, stored: dict[str, Any], descending: bool) -> FieldSort:
        field, mode, missing = stored["field"], stored["mode"], stored["missing"]
        others, rows = stored.get("missing_fields", []), stored.get("missing_rows")
        if not isinstance(others, list) or not all(isinstance(name, str) for name in (field, *others)):
            raise ValueError("field")
        if not isinstance(missing, int | float | bool | str | None):
            raise ValueError("missing")
        return FieldSort(
            field,
            descending,
            None if mode is None else SortMode[mode],
            missing if rows is None else Missing[rows],
            tuple(others),
            nested_filter_in(stored),
        )


def sortable(schema: IndexSchema, name: str, space: str) -> FieldSchema:
    """The field ``name`` of what is sorted. Raises ParameterInvalid where there is none, or it cannot be sorted by."""
    field = field_of(schema, "field_sort", name, space)
    if not kind_of(field).is_sortable:
        raise ParameterInvalid(f"[field_sort] field: {name} is of type {field.type.name}: it cannot be sorted by")
    if not field.is_sortable:
        raise ParameterInvalid(f"[field_sort] field: {name} was created without sort_and_agg")
    return field
