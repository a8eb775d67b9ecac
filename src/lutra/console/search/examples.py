"""Searches that make sense of a table, for who looks at an empty form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lutra.console.search.fields import SearchField, SearchFields
from lutra.model.indexes import FieldType

Text = Callable[..., str]
_EXAMPLES_MAX: Final = 6
_GROUPED: Final = (FieldType.KEYWORD, FieldType.BOOLEAN, FieldType.LONG)


@dataclass(frozen=True, slots=True)
class Example:
    label: str
    spec: dict[str, Any]


def examples_of(fields: SearchFields, first_key: str | None, text: Text) -> list[Example]:
    """A few, of different kinds. ``first_key``: of a row that there is, as an address has it."""
    key = {column.name for column in fields.key}
    # The key tells rows apart: of what they have in common other fields tell more.
    rows = sorted((field for field in fields.all if not field.space), key=lambda field: field.name in key)
    made: list[Example] = [Example(text("All rows, a page at a time"), {"limit": 20})]
    vector = next(iter(fields.vectors), None)
    if vector is not None and first_key is not None:
        near = {"field": vector.name, "by": "row", "key": first_key}
        made.append(Example(text("The rows most like the first one, by {field}", field=vector.name), {"near": near}))
    grouped = _first(rows, lambda one: "value" in one.groupings and one.schema.type in _GROUPED)
    if grouped is not None:
        by_value = {"by": "value", "field": grouped.name, "size": 20}
        label = text("How many rows have which {field}", field=grouped.name)
        made.append(Example(label, {"limit": 5, "aggregations": [by_value]}))
    date = _first(rows, lambda one: "date" in one.groupings)
    if date is not None:
        by_month = {"by": "date", "field": date.name, "every": 1, "unit": "month"}
        newest = [{"by": "field", "field": date.name, "descending": True}]
        spec = {"sort": newest if date.is_sortable else [], "aggregations": [by_month]}
        made.append(Example(text("The newest by {field}, and how many there are a month", field=date.name), spec))
    number = _first(rows, lambda one: one.kind.is_number and "sum" in one.metrics and one.is_sortable)
    if number is not None:
        figures = [{"of": of, "field": number.name} for of in ("min", "avg", "max", "percentiles")]
        greatest = [{"by": "field", "field": number.name, "descending": True}]
        label = text("The greatest {field}, and its distribution", field=number.name)
        made.append(Example(label, {"sort": greatest, "aggregations": figures}))
    lacking = _first(rows, lambda one: "lacks" in one.operators and one.kind.is_filterable)
    if lacking is not None:
        part = {"field": lacking.name, "op": "lacks"}
        label = text("Rows that have no {field}", field=lacking.name)
        made.append(Example(label, {"where": {"group": "all", "parts": [part]}}))
    return made[:_EXAMPLES_MAX]


def _first(fields: list[SearchField], fits: Callable[[SearchField], bool]) -> SearchField | None:
    return next((field for field in fields if fits(field)), None)
