"""Rows of one table in a buffer and in segments, and what searches find among them: for tests of kinds of fields."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from support.indexes import memory_index
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.index.lsm.view import IndexView
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.queries import Query, SearchRequest, Sorter
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)


def rows_of(contents: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows 0, 1, 2, … with these columns; None: it has no such column."""
    return [
        Row((("id", number),), [(name, value, 1) for name, value in sorted(content.items()) if value is not None])
        for number, content in enumerate(contents)
    ]


def view_of(fields: Sequence[FieldSchema], contents: Sequence[Mapping[str, Any]], seed: int, shelf: Shelf) -> IndexView:
    """The rows in a buffer and up to three segments."""
    index = memory_index(IndexSchema(tuple(fields)), KEY)
    return shared_out(index, rows_of(contents), random.Random(seed), shelf)


def found(view: IndexView, query: Query, *sort: Sorter) -> list[int]:
    """The numbers of the rows found, in their order."""
    answer = search(view, SearchRequest(query, sort, limit=1_000, count_total=True))
    assert answer.total == len(answer.hits)
    return [dict(hit.key)["id"] for hit in answer.hits]  # type: ignore[misc]
