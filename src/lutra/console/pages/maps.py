"""The map of a vector field: a picture of a sample of its rows, and of one of them its true neighbours."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lutra.console.cells import shown_value
from lutra.console.request import ConsoleRequest
from lutra.console.routing import page
from lutra.console.row_keys import key_of_token, key_text, key_token
from lutra.console.vector_map import neighbours_json, picture_json
from lutra.fields.kinds import kind_of
from lutra.instance import where as filters
from lutra.instance.row import Row
from lutra.model.errors import ObjectNotExist, ParameterInvalid
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.queries import Query
from lutra.search.sample import SampleRequest, values_shown
from lutra.transfer.where import parse_where_of

ROWS: Final = (1_000, 2_000, 4_000, 10_000)
ROWS_DEFAULT: Final = 4_000
NEIGHBOURS: Final = 10
_SHOWN_COLUMNS: Final = 3
_LINE_CHARS: Final = 60


def show(asked: ConsoleRequest) -> Response:
    schema = _schema(asked)
    vectors = [field.name for field in schema.fields if field.vector is not None]
    colours = [field.name for field in schema.fields if values_shown(field)]
    return asked.render(
        "map.html",
        **asked.table_context("map"),
        vectors=vectors,
        colours=colours,
        row_counts=ROWS,
        chosen={
            "field": asked.query.get("field") or (vectors[0] if vectors else ""),
            "colour": asked.query.get("colour", _first_colour(schema, [column.name for column in asked.layout.key])),
            "rows": _rows(asked),
            "where": asked.query.get("where", ""),
            "index": asked.query.get("index", ""),
        },
    )


def _first_colour(schema: IndexSchema, key: list[str]) -> str:
    """A field of names that is no part of the key, where there is one: what most likely tells rows apart."""
    fields = [field for field in schema.fields if values_shown(field) and field.name not in key]
    named = [field.name for field in fields if not kind_of(field).is_number and not kind_of(field).is_date]
    return next(iter([*named, *(field.name for field in fields)]), "")


def points(asked: ConsoleRequest) -> Response:
    schema, layout = _schema(asked), asked.layout
    field, colour = _vector_field(schema, asked), asked.query.get("colour") or None
    where, rows = asked.query.get("where", "").strip(), _rows(asked)
    request = SampleRequest(field.name, rows, _filter(asked, where), () if colour is None else (colour,))
    assert layout.index is not None
    assert field.vector is not None
    sample = asked.instance.sample_vectors(layout.table, layout.index, request)
    coloured = None if colour is None else schema.field_in("", colour)
    made_us = asked.instance.describe_search_index(layout.table, layout.index).created_us
    what = (asked.instance.name, layout.table, layout.index, str(made_us), field.name, str(rows), where)
    return asked.json(
        picture_json(
            sample,
            field.vector.metric,
            asked.services.frames,
            what,
            colour,
            is_date=coloured is not None and kind_of(coloured).is_date,
        )
    )


def neighbours(asked: ConsoleRequest) -> Response:
    layout, field = asked.layout, _vector_field(_schema(asked), asked)
    frame = asked.services.frames.get(asked.query.get("frame", ""))
    if frame is None:
        raise ObjectNotExist(asked.text("This map is too old: draw it again."))
    key = [value for _, value in key_of_token(asked.query.get("key", ""), layout.key)]
    row = asked.table.get(*key)
    if row is None:
        raise ObjectNotExist(asked.text("This row is there no more."))
    vector = row.get(field.name)
    if not isinstance(vector, np.ndarray):
        raise ParameterInvalid(asked.text("This row has no vector in {field}.", field=field.name))
    found = asked.table.search(vector, field=field.name, limit=NEIGHBOURS + 1, fresh=False)
    names = [column.name for column in layout.key]
    others = [
        one
        for one in found
        if [one[name] for name in names] != [row[name] for name in names]
        and isinstance(one.get(field.name), np.ndarray)  # else it was changed meanwhile
    ]
    rows = [row, *others[:NEIGHBOURS]]
    told = neighbours_json(
        frame, [_told(asked, one, names, field.name) for one in rows], [one[field.name] for one in rows]
    )
    return asked.json({"row": told[0], "neighbours": told[1:]})


def _told(asked: ConsoleRequest, row: Row, key: list[str], field: str) -> dict[str, Any]:
    """A row in a line: its key, some of its columns, and where all of it is."""
    token = key_token([row[name] for name in key])
    shown = [name for name in row if name not in key and name != field and row[name] is not None][:_SHOWN_COLUMNS]
    return {
        "key": token,
        "label": ", ".join(key_text(row[name]) for name in key),
        "score": row.score,
        "columns": [[name, shown_value(row[name], _LINE_CHARS).line] for name in shown],
    }


def _schema(asked: ConsoleRequest) -> IndexSchema:
    """Of the index that searches of the table go by; an empty one where it has none."""
    layout = asked.layout
    if layout.index is None:
        return IndexSchema(())
    return asked.instance.describe_search_index(layout.table, layout.index).schema


def _vector_field(schema: IndexSchema, asked: ConsoleRequest) -> FieldSchema:
    name = asked.query.get("field", "")
    found = schema.field_in("", name)
    if found is None or found.vector is None:
        raise HTTPException(404)
    return found


def _filter(asked: ConsoleRequest, where: str) -> Query | None:
    return filters.to_query(parse_where_of(where, asked.table), asked.layout) if where else None


def _rows(asked: ConsoleRequest) -> int:
    return next((rows for rows in ROWS if str(rows) == asked.query.get("rows")), ROWS_DEFAULT)


ROUTES: Final = (
    page("/i/{instance}/t/{table}/map", show, name="map"),
    page("/i/{instance}/t/{table}/map/points", points, name="map_points"),
    page("/i/{instance}/t/{table}/map/neighbours", neighbours, name="map_neighbours"),
)
