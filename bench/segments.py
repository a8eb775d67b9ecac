"""Index segments: bytes a row, what a build's time goes to, what opening reads, and a search under a filter.

python -m bench.segments [--rows N] [--dims 128,960] [--json FILE]

Rows have a key of 16 bytes, a number, a keyword of 1,000, a double and a vector (`bench.ann`'s ``--hard``). Four
segments of a quarter each are built of buffers and then merged; a row in fifty of each is dead by then.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from pyroaring import BitMap

from bench.ann import data
from lutra.fields.capabilities import nearest
from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.view import PartView
from lutra.kernels.blocks import BlockCache
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.segments.build import build_segment
from lutra.segments.footer import SegmentMeta
from lutra.segments.index_segment import IndexSegment
from lutra.segments.part import Part

KEY = (KeyColumn("id", ColumnType.STRING),)
SCALARS = (
    FieldSchema("n", FieldType.LONG),
    FieldSchema("word", FieldType.KEYWORD),
    FieldSchema("x", FieldType.DOUBLE),
)
QUERIES = 200
DEAD_EVERY = 50


class Stopwatch:
    """Seconds between the reports of a build, by what it was at."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase, self._since = "keys", time.perf_counter()

    def __call__(self, phase: str, done: int, total: int) -> None:
        self._add(phase if done else self._phase, time.perf_counter())
        self._phase = phase if done < total else "the rest"

    def _add(self, phase: str, now: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now

    def stop(self) -> dict[str, float]:
        self._add(self._phase, time.perf_counter())
        return {phase: round(seconds, 2) for phase, seconds in self.seconds.items()}


def buffer_of(schema: IndexSchema, vectors: np.ndarray[Any, np.dtype[np.float32]], first: int) -> PartView:
    """Rows in an order that is not that of their keys."""
    generator = np.random.default_rng(first)
    keys = [f"key-{number:012d}" for number in (first + generator.permutation(len(vectors))).tolist()]
    words = generator.integers(0, 1_000, len(vectors)).tolist()
    doubles = generator.normal(size=len(vectors)).tolist()
    buffer = Buffer(schema, KEY)
    rows = [
        Row(
            (("id", key),),
            [
                ("n", number, 1),
                ("word", f"word-{words[number]}", 1),
                ("x", doubles[number], 1),
                ("v", vectors[number].tobytes(), 1),
            ],
        )
        for number, key in enumerate(keys)
    ]
    buffer.stage([key.encode() for key in keys], rows, 0)
    buffer.publish()
    return buffer.view()


def build(store: LocalStore, name: str, inputs: list[Part], schema: IndexSchema, folder: Path) -> dict[str, Any]:
    watch = Stopwatch()
    begin = time.perf_counter()
    meta = build_segment(folder / "target", inputs, schema, on_progress=watch)
    seconds = time.perf_counter() - begin
    store.put_file(name, folder / "target")
    return {"seconds": round(seconds, 2), "split": watch.stop(), **described(meta)}


def described(meta: SegmentMeta) -> dict[str, Any]:
    rows = max(1, meta.size)
    return {
        "rows": meta.size,
        "kind": meta.vectors[0].kind.value,
        "bytes_per_row": {name: round(size / rows, 1) for name, size in meta.bytes_by_class.items()},
        "bytes_per_row_all": round(meta.size_bytes / rows, 1),
    }


def opened(
    store: LocalStore, name: str, schema: IndexSchema, queries: np.ndarray[Any, np.dtype[np.float32]]
) -> dict[str, Any]:
    cache = BlockCache(32 << 20)
    begin = time.perf_counter()
    with IndexSegment.open(store, name, schema, cache=cache) as segment:
        open_ms = 1e3 * (time.perf_counter() - begin)
        counters = cache.counters().owners[""]
        result: dict[str, Any] = {
            "open_ms": round(open_ms, 1),
            "open_mb": round((counters.read_bytes + counters.bypass_bytes) / 1e6, 2),
            "resident_bytes_per_row": round(segment.resident_bytes / max(1, segment.size), 1),
        }
        half = np.arange(segment.size) % 2 == 0
        half.flags.writeable = False
        nearly = np.arange(segment.size) % DEAD_EVERY != 0
        nearly.flags.writeable = False
        for label, mask in (("no mask", None), ("2 % dead", nearly), ("half", half)):
            times = []
            for query in queries:
                begin = time.perf_counter()
                nearest(segment, "v").topk(query, 10, mask)
                times.append(time.perf_counter() - begin)
            result[f"topk_ms, {label}"] = round(1e3 * float(np.median(times)), 2)
    cache.close()
    return result


def measure(rows: int, dimension: int) -> dict[str, Any]:
    block = data.hard(dimension)
    vectors, queries = data.rows(block, rows), data.queries(block, rows, QUERIES)
    schema = IndexSchema((*SCALARS, FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(dimension))))
    result: dict[str, Any] = {"dimension": dimension, "raw_bytes_per_row": 16 + 8 + 8 + 8 + 4 * dimension}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = LocalStore(Path(folder) / "objects")
        result["one build"] = build(store, "whole", [buffer_of(schema, vectors, 0)], schema, Path(folder))
        result["opened"] = opened(store, "whole", schema, queries)
        cache = BlockCache(16 << 20)
        quarter = rows // 4
        names = [f"quarter{i}" for i in range(4)]
        for i, name in enumerate(names):
            part = buffer_of(schema, vectors[i * quarter : (i + 1) * quarter], i * quarter)
            result[name] = build(store, name, [part], schema, Path(folder))
        dead = BitMap(range(0, quarter, DEAD_EVERY))
        inputs: list[Part] = [
            IndexSegment.open(store, name, schema, cache=cache, memory_budget_bytes=0, deletions=dead) for name in names
        ]
        result["merge of quarters"] = build(store, "merged", inputs, schema, Path(folder))
        cache.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dims", default="128,960")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = [measure(options.rows, int(dimension)) for dimension in options.dims.split(",")]
    print(json.dumps(results, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
