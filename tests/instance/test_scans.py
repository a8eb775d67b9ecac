"""Scans of an instance: rows that change, segments that are merged, and sessions that end meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.engines import EAGER, open_engine

from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model import limits
from lutra.model.errors import MetaNotMatch, ParameterInvalid, SessionExpired
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import ColumnsToGet, KnnVector, MatchAll, PrimaryKeySort, Range, ReturnColumns, SearchRequest
from lutra.model.rows import CellChange, ChangeKind, RowChange
from lutra.model.scans import ScanRequest
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

SCHEMA = IndexSchema(
    (FieldSchema("n", FieldType.LONG), FieldSchema("vector", FieldType.VECTOR, vector=VectorOptions(2)))
)
LAZY = replace(EAGER, flush_bytes=1 << 30, flush_age_s=3_600.0)
"""Flushed and merged when a test says so."""
FROM_INDEX = ColumnsToGet(ReturnColumns.ALL_FROM_INDEX)
COUNT = 90


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "data", policy=LAZY)
    opened.create_instance("main")
    yield opened
    opened.close()


@pytest.fixture
def instance(engine: Engine) -> Instance:
    """Rows 0 to 89 in three segments and a buffer."""
    instance = engine.instance("main")
    instance.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
    instance.create_search_index("t", "x", SCHEMA)
    for n in random.Random(1).sample(range(COUNT), COUNT):
        put(instance, n, n)
        if n % 30 == 0:
            flush(engine, instance)
    instance.wait_searchable("t", "x", 60)
    return instance


def put(instance: Instance, key: int, n: int) -> None:
    cells: list[CellChange] = [("n", n, None, 0), ("note", f"of {n}", None, 0), ("vector", f"[{n},0]", None, 0)]
    instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", key),), cells))


def delete(instance: Instance, key: int) -> None:
    instance.tables.write("t", RowChange(ChangeKind.DELETE, (("id", key),)))


def flush(engine: Engine, instance: Instance) -> None:
    instance.wait_searchable("t", "x", 60)
    for feed in engine.partition.feeder._feeds:
        feed.index.flush()  # type: ignore[attr-defined]


def compact(engine: Engine, instance: Instance) -> None:
    flush(engine, instance)
    for feed in engine.partition.feeder._feeds:
        feed.index.compact()  # type: ignore[attr-defined]


def pages(instance: Instance, request: ScanRequest) -> Iterator[list[tuple[int, object]]]:
    """Keys and values of ``n``, page by page."""
    while True:
        result = instance.scan("t", "x", request)
        yield [(int(row.key[0][1]), {cell[0]: cell[1] for cell in row.cells}.get("n")) for row in result.rows]
        if not result.next_token:
            assert not result.rows
            return
        request = replace(request, token=result.next_token)


def request(session: bytes | None = None, limit: int = 7) -> ScanRequest:
    return ScanRequest(MatchAll(), limit, session, columns=FROM_INDEX)


@pytest.mark.parametrize(
    ("part", "parts", "says"),
    [
        (0, 2, "[parallel_scan.max_parallel_id] must in (0 ,1], current max_parallel_id is 2"),
        (0, 0, "[parallel_scan.max_parallel_id] must in (0 ,1], current max_parallel_id is 0"),
        (
            101,
            1,
            "[parallel_scan.current_parallel_id] must in [0, max_parallel), current max_parallel is 1, "
            "current_parallel_id is 101",
        ),
        (
            -1,
            1,
            "[parallel_scan.current_parallel_id] must in [0, max_parallel), current max_parallel is 1, "
            "current_parallel_id is -1",
        ),
    ],
)
def test_one_reader_has_all_of_a_session(instance: Instance, part: int, parts: int, says: str) -> None:
    session = instance.begin_scan("t", "x")
    assert instance.scan_splits(session) == 1
    with pytest.raises(ParameterInvalid) as caught:
        instance.scan("t", "x", replace(request(session), part=part, parts=parts))
    assert str(caught.value) == says


@pytest.mark.parametrize("with_session", [True, False])
def test_every_row_once(instance: Instance, with_session: bool) -> None:
    session = instance.begin_scan("t", "x") if with_session else None
    found = list(pages(instance, request(session)))
    assert sorted(n for page in found for n in page) == [(n, n) for n in range(COUNT)]
    assert [len(page) for page in found[:-2]] == [7] * (COUNT // 7)
    assert found[-1] == []
    few = list(pages(instance, replace(request(session, 2_000), query=Range("n", 10, 12))))
    assert [sorted(page) for page in few] == [[(10, 10), (11, 11), (12, 12)], []]


def test_rows_are_those_of_the_beginning(engine: Engine, instance: Instance) -> None:
    """Whatever is written, deleted, flushed and merged meanwhile: no row twice, none lost, none new."""
    session = instance.begin_scan("t", "x")
    rng = random.Random(2)
    changed: dict[int, int] = {}
    gone: set[int] = set()
    found: list[tuple[int, object]] = []
    for number, page in enumerate(pages(instance, request(session))):
        found += page
        seen = {key for key, _ in found}
        left = [n for n in range(COUNT) if n not in seen | gone]
        for key in rng.sample(left, min(2, len(left))):
            put(instance, key, 1_000 + key)
            changed[key] = 1_000 + key
        if left:
            gone.add(rng.choice(left))
            delete(instance, max(gone & set(left)))
        put(instance, 200 + number, 5)
        if seen:
            put(instance, min(seen), -1)
        if number in (2, 5):
            flush(engine, instance)
        if number == 7:
            compact(engine, instance)
    assert len(found) == len({key for key, _ in found})
    assert {key for key, _ in found} == set(range(COUNT)) - gone
    values = dict(found)
    assert all(values[key] == value for key, value in changed.items() if key in values)


def test_without_a_session_rows_come_as_they_are_then(engine: Engine, instance: Instance) -> None:
    """In the order of their keys, so those there all along come once."""
    scan = pages(instance, request(None, 30))
    first = next(scan)
    for key in (1, 40):
        delete(instance, key)
    put(instance, 1_000, 5)
    put(instance, -1, 5)
    compact(engine, instance)
    instance.wait_searchable("t", "x", 60)
    rest = [key for page in scan for key, _ in page]
    assert [key for key, _ in first] == list(range(30))
    assert rest == [*range(30, 40), *range(41, COUNT), 1_000]


def test_a_session_keeps_objects_from_being_deleted(engine: Engine, instance: Instance) -> None:
    flush(engine, instance)
    before = set(engine.resources.store.list(""))
    session = instance.begin_scan("t", "x")
    held = engine.partition.scans.held
    assert held.segments >= 0 <= held.buffers
    scan = pages(instance, request(session))
    found = next(scan)
    for n in range(COUNT):
        put(instance, n, n)
    compact(engine, instance)
    compact(engine, instance)
    segments = {name for name in before if name in set(engine.resources.store.list(""))}
    found += [row for page in scan for row in page]
    assert sorted(found) == [(n, n) for n in range(COUNT)]
    engine.partition.scans.close()
    until_s = time.monotonic() + 60
    while set(engine.resources.store.list("")) & segments == segments and time.monotonic() < until_s:
        compact(engine, instance)
    assert set(engine.resources.store.list("")) & segments < segments


def test_rows_that_are_gone_do_not_end_a_scan(instance: Instance) -> None:
    session = instance.begin_scan("t", "x")
    keep = {3, 77}
    for n in set(range(COUNT)) - keep:
        delete(instance, n)
    for name in (session, None):
        assert sorted(n for page in pages(instance, request(name, 2)) for n, _ in page) == sorted(keep)


def test_a_page_takes_so_many_bytes(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with less than that has one row at least."""
    session = instance.begin_scan("t", "x")
    whole = instance.scan("t", "x", request(session, 2_000))
    assert len(whole.rows) == COUNT
    for most, rows in ((1, 1), (120, None)):
        monkeypatch.setattr(limits, "SCAN_BYTES_MAX", most)
        for name in (session, None):
            found = list(pages(instance, request(name, 2_000)))
            assert all(len(page) == (rows or len(page)) < 10 for page in found[:-1])
            assert sorted(n for page in found for n, _ in page) == list(range(COUNT))


def test_sessions_end_with_their_index_and_their_engine(engine: Engine, instance: Instance, tmp_path: Path) -> None:
    session = instance.begin_scan("t", "x")
    instance.create_search_index("t", "y", SCHEMA)
    instance.wait_searchable("t", "y", 60)
    other = instance.begin_scan("t", "y")
    with pytest.raises(SessionExpired):
        instance.scan("t", "y", request(session))
    instance.delete_search_index("t", "y")
    assert len(engine.partition.scans) == 1
    with pytest.raises(MetaNotMatch):
        instance.scan("t", "y", request(other))
    instance.create_search_index("t", "y", SCHEMA)
    with pytest.raises(SessionExpired):
        instance.scan("t", "y", request(other))
    engine.close()
    assert len(engine.partition.scans) == 0
    with closing(open_engine(tmp_path / "data", policy=LAZY)) as again:
        reopened = again.instance("main")
        reopened.wait_searchable("t", "x", 60)
        with pytest.raises(SessionExpired):
            reopened.scan("t", "x", request(session))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, r"\[parallel_scan.limit\] must be in \[1, 2000\], not 0"),
    ({"limit": 2_001}, "not 2001"),
    ({"alive_s": 0}, "alive_time"),
    ({"columns": ColumnsToGet(ReturnColumns.ALL)}, "RETURN_ALL_FROM_INDEX"),
    ({"columns": ColumnsToGet(ReturnColumns.SPECIFIED, ("n", "note"))}, r"\[note\] is no field of the index"),
    ({"query": Range("note", 1)}, "note does not exist"),
    ({"query": KnnVector("vector", np.zeros(2, np.float32), 1)}, "knn_vector"),
    ({"token": b"x"}, r"\[token\] is invalid"),
]


def test_refuses(instance: Instance) -> None:
    for session in (instance.begin_scan("t", "x"), None):
        for change, says in REFUSED:
            with pytest.raises(ParameterInvalid, match=says):
                instance.scan("t", "x", replace(request(session), **change))


def test_tokens_are_of_their_scan(instance: Instance) -> None:
    first, second = (instance.begin_scan("t", "x") for _ in range(2))
    of_session = instance.scan("t", "x", request(first)).next_token
    of_none = instance.scan("t", "x", request(None)).next_token
    by_number = SearchRequest(MatchAll(), (PrimaryKeySort(True),), limit=3)
    of_search = instance.search("t", "x", by_number).next_token
    for session, token in ((second, of_session), (None, of_session), (first, of_none), (None, of_search)):
        with pytest.raises(ParameterInvalid, match=r"\[token\] is invalid"):
            instance.scan("t", "x", replace(request(session), token=token))


def test_columns(instance: Instance) -> None:
    session = instance.begin_scan("t", "x")
    for columns, names in (
        (ColumnsToGet(), []),
        (FROM_INDEX, ["n", "vector"]),
        (ColumnsToGet(ReturnColumns.SPECIFIED, ("n", "id")), ["n"]),
    ):
        row = instance.scan("t", "x", replace(request(session, 1), columns=columns)).rows[0]
        assert [cell[0] for cell in row.cells] == names
