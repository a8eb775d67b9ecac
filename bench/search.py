"""The search index in memory: ingest in rows/s, searches in ms, memory in bytes a row.

python -m bench.search [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lutra.feed.feeder import Feeder
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.view import IndexView
from lutra.kv.memory import MemoryStore
from lutra.model.clock import SystemClock
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import (
    Bool,
    FieldSort,
    KnnVector,
    MatchAll,
    Prefix,
    PrimaryKeySort,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Sorter,
    Term,
)
from lutra.model.rows import CellOperation, ChangeKind, Row, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.tables.space import TableSpace

DIMENSION = 128
BATCH = 200
KEY = (KeyColumn("id", ColumnType.STRING),)
SCALARS = (
    FieldSchema("n", FieldType.LONG),
    FieldSchema("price", FieldType.DOUBLE),
    FieldSchema("city", FieldType.KEYWORD),
    FieldSchema("name", FieldType.KEYWORD),
)
VECTOR = FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION, Metric.COSINE))


def key_of(number: int) -> tuple[tuple[str, str], ...]:
    return (("id", f"row-{number * 7919 % 100_000_007:09d}"),)


FOLDER = tempfile.TemporaryDirectory(prefix="lutra-bench-")
RESOURCES = Resources.open(f"{FOLDER.name}/objects", Path(FOLDER.name, "scratch"), 512 * 1024 * 1024)


def scalar_rows(count: int) -> list[Row]:
    rng = np.random.default_rng(1)
    numbers, prices = rng.integers(0, 1000, count).tolist(), rng.random(count).tolist()
    return [
        Row(
            key_of(i),
            [("city", f"city-{n % 50}", 1), ("n", n, 1), ("name", f"name-{i}", 1), ("price", price, 1)],
        )
        for i, (n, price) in enumerate(zip(numbers, prices, strict=True))
    ]


def vector_rows(count: int, text: bool) -> list[Row]:
    vectors = np.random.default_rng(2).standard_normal((count, DIMENSION)).astype("<f4")
    values = [json.dumps(v.tolist()) if text else v.tobytes() for v in vectors]
    return [Row(key_of(i), [("n", i % 1000, 1), ("v", value, 1)]) for i, value in enumerate(values)]


def new_index(schema: IndexSchema) -> SearchIndex:
    """One that is never opened: all rows are in its buffer."""
    return SearchIndex(schema, KEY, IndexStorage(RESOURCES.store, "indexes/bench"), RESOURCES)


def ingest(index: SearchIndex, rows: list[Row]) -> float:
    """Seconds to take the rows in, 200 at a time as the feeder does."""
    begin = time.perf_counter()
    for first in range(0, len(rows), BATCH):
        index.apply(rows[first : first + BATCH])
    return time.perf_counter() - begin


def measure_ingest(count: int) -> list[dict[str, Any]]:
    kinds: dict[str, tuple[tuple[FieldSchema, ...], list[Row]]] = {
        "4 scalars": (SCALARS, scalar_rows(count)),
        "128-d binary": ((SCALARS[0], VECTOR), vector_rows(count, text=False)),
        "128-d JSON": ((SCALARS[0], VECTOR), vector_rows(count, text=True)),
    }
    results = []
    for name, (fields, rows) in kinds.items():
        seconds = min(ingest(new_index(IndexSchema(fields)), rows) for _ in range(3))
        results.append({"ingest": name, "rows_per_s": count / seconds})
        print(f"ingest {name:24} {count / seconds:12,.0f} rows/s", flush=True)
    return results


def measure_feeder(count: int) -> list[dict[str, Any]]:
    """From a table in memory to searchable: filling, and following what is in the changelog."""
    store = MemoryStore()
    space = TableSpace(store)
    tables = space.instance("bench")
    described = tables.create(TableSchema("t", KEY))
    changes = [
        RowChange(ChangeKind.PUT, row.key, [(name, value, None, CellOperation.PUT) for name, value, _ in row.cells])
        for row in vector_rows(count, text=False)
    ]
    definition = IndexDefinition("bench", "t", described.table_id, "x", IndexSchema((SCALARS[0], VECTOR)), 0)
    results = []

    def write() -> None:
        for first in range(0, count, BATCH):
            tables.write_batch([("t", changes[first : first + BATCH])])

    write()
    policy = RESOURCES.policy
    with Feeder(space.changelog, policy.trim_changes, policy.trim_period_s) as feeder:
        begin = time.perf_counter()
        feed = IndexFeed(definition, tables, space.changelog, store, RESOURCES, SystemClock())
        feeder.add(feed)
        feeder.wait_searchable(feed, 600)
        fill_s = time.perf_counter() - begin
        begin = time.perf_counter()
        write()
        write_s = time.perf_counter() - begin
        feeder.wait_searchable(feed, 600)
        both_s = time.perf_counter() - begin
    for name, seconds in {"fill": fill_s, "write and follow": both_s, "(write alone)": write_s}.items():
        results.append({"feeder": name, "rows_per_s": count / seconds})
        print(f"feeder {name:24} {count / seconds:12,.0f} rows/s", flush=True)
    return results


def median_ms(call: Callable[[], object], calls: int) -> float:
    call()
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def measure(
    view: Callable[[], IndexView], label: str, cases: dict[str, tuple[Query, tuple[Sorter, ...]]]
) -> list[dict[str, Any]]:
    results = []
    for name, (query, sort) in cases.items():
        request = SearchRequest(query, sort, limit=10)
        ms = median_ms(lambda request=request: search(view(), request), 30)  # type: ignore[misc]
        results.append({"search": name, "rows": label, "ms": ms})
        print(f"search {label:>8} {name:30} {ms:8.3f} ms", flush=True)
    return results


def measure_knn(count: int) -> list[dict[str, Any]]:
    index = new_index(IndexSchema((SCALARS[0], VECTOR)))
    ingest(index, vector_rows(count, text=False))
    return measure(index.view, f"{count // 1000}k", knn_cases())


def knn_cases() -> dict[str, tuple[Query, tuple[Sorter, ...]]]:
    query = np.random.default_rng(3).standard_normal(DIMENSION).astype(np.float32)
    by_score = (ScoreSort(),)
    near = KnnVector("v", query, 10)
    return {
        "knn by score": (near, by_score),
        "knn by key": (near, ()),
        "knn, filter 1 %": (KnnVector("v", query, 10, Range("n", 0, 9)), by_score),
        "knn, filter 50 %": (KnnVector("v", query, 10, Range("n", 0, 499)), by_score),
    }


def measure_parts(count: int) -> list[dict[str, Any]]:
    """What it costs to search the same rows in several parts: all of them buffers, so that nothing is read."""
    rows, results = vector_rows(count, text=False), []
    for number in (1, 10, 50):
        buffers = [new_index(IndexSchema((SCALARS[0], VECTOR))) for _ in range(number)]
        for first, buffer in enumerate(buffers):
            buffer.apply(rows[first::number])
        view = replace(buffers[0].view(), parts=tuple(part for buffer in buffers for part in buffer.view().parts))
        results += measure(lambda view=view: view, f"{count // 1000}k/{number}", knn_cases())  # type: ignore[misc]
    return results


def measure_scalars(count: int) -> list[dict[str, Any]]:
    rows = scalar_rows(count)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    index = new_index(IndexSchema(SCALARS))
    ingest(index, rows)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    print(f"memory {count // 1000}k rows of 4 scalars: {grown_kb * 1024 / count:.0f} bytes a row", flush=True)
    cases: dict[str, tuple[Query, tuple[Sorter, ...]]] = {
        "all by key": (MatchAll(), ()),
        "all by key, descending": (MatchAll(), (PrimaryKeySort(True),)),
        "all by long": (MatchAll(), (FieldSort("n"),)),
        "all by double, descending": (MatchAll(), (FieldSort("price", True),)),
        "all by keyword": (MatchAll(), (FieldSort("name"),)),
        "term on keyword": (Term("city", "city-7"), ()),
        "term on long": (Term("n", 7), ()),
        "range on double, half": (Range("price", 0.25, 0.75), ()),
        "prefix on 1 keyword a row": (Prefix("name", "name-77"), ()),
        "bool of term, range, not": (
            Bool(must=(Term("city", "city-7"),), filter=(Range("n", 0, 500),), must_not=(Prefix("name", "name-1"),)),
            (ScoreSort(), FieldSort("price")),
        ),
    }
    return [
        {"memory_bytes_per_row": grown_kb * 1024 / count},
        *measure(index.view, f"{count // 1000}k", cases),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    results = [
        *measure_ingest(20_000),
        *measure_feeder(20_000 // scale * 2),
        *measure_knn(10_000),
        *measure_knn(100_000 // scale),
        *measure_parts(10_000),
        *measure_scalars(1_000_000 // scale),
    ]
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
