"""Scans of a view: every row that matches, once, page by page; and tokens that lead on."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.shared_out import shared_out
from support.stored_segments import Shelf
from support.worlds.queries import queries
from support.worlds.world import World, worlds

from lutra.model.deadline import NEVER, Deadline
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import Bool, KnnVector, MatchAll, Query, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.search.scan import Position, check_scannable, scan
from lutra.search.scan_token import ScanToken
from lutra.search.token import sealed


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.integers(1, 12), st.integers(0, 2**32))
def test_every_row_comes_once(shelf: Shelf, world: World, data: st.DataObject, limit: int, seed: int) -> None:
    """From wherever in a page the next one begins."""
    query = data.draw(queries(world.schema, 3, False))
    rng = random.Random(seed)
    view = shared_out(world.index, list(world.written.values()), rng, shelf)
    expected = {hit.key for hit in search(view, SearchRequest(query, limit=1_000)).hits}
    found: list[Any] = []
    position = Position()
    while True:
        page = scan(view, query, position, limit, NEVER)
        assert len(page.keys) == len(page.after) <= limit
        if not page.keys:
            break
        taken = rng.randint(1, len(page.keys))
        found += [view.decode_key(key) for key in page.keys[:taken]]
        position = page.after[taken - 1]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_time_is_up_before_anything_is_found() -> None:
    index = memory_index(IndexSchema((FieldSchema("n", FieldType.LONG),)), (KeyColumn("id", ColumnType.INTEGER),))
    index.apply([Row((("id", 1),), [("n", 1, 1)])])
    assert scan(index.view(), MatchAll(), Position(), 5, NEVER).keys
    with pytest.raises(RequestTimeout):
        scan(index.view(), MatchAll(), Position(), 5, Deadline(0))


def near(**more: Any) -> KnnVector:
    return KnnVector("v", np.zeros(2, np.float32), 3, **more)


@pytest.mark.parametrize("query", [near(), Bool(should=(MatchAll(), near())), Bool(filter=(Bool(must_not=(near(),)),))])
def test_neighbours_are_not_scanned_for(query: Query) -> None:
    with pytest.raises(ParameterInvalid, match="knn_vector"):
        check_scannable(query)


def test_tokens() -> None:
    token = ScanToken(b"0f", Position(3, 17))
    assert ScanToken.decode(token.encode()) == token


@given(
    st.binary(max_size=40) | st.builds(lambda c: sealed(b"\x81", c), st.lists(st.integers() | st.text(), max_size=4))
)
def test_tokens_that_are_none(data: bytes) -> None:
    try:
        position = ScanToken.decode(data).position
    except ParameterInvalid:
        return
    assert position.part >= 0 <= position.doc
