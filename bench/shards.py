"""What a search over shards costs beside one over a view: µs of processor time, and bytes that are sent.

The same rows in 1, 3 and 8 shards, each a buffer, in one process; ``one view``: all rows in one. What the shards do is
part of it, one after the other; ``merging`` is what the coordinator does by itself.

python -m bench.shards [--rows 20000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.view import IndexView
from lutra.instance.highlighter import Shown
from lutra.instance.shard_search import ShardSearches
from lutra.model.aggregations import Aggregated, Avg, DistinctCount, GroupByField
from lutra.model.errors import LutraError
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, TextOptions, VectorOptions
from lutra.model.queries import FieldSort, Hit, KnnVector, Match, MatchAll, Range, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.shards import ShardCall, ShardReply
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.search.coordinator import Coordinator

DIMENSION = 64
KEY = (KeyColumn("id", ColumnType.STRING),)
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("city", FieldType.KEYWORD),
        FieldSchema("text", FieldType.TEXT, text=TextOptions("single_word")),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),
    )
)
VECTOR = np.linspace(-1, 1, DIMENSION, dtype=np.float32)
BY_CITY = GroupByField("city", "city", size=50, aggregations=(Avg("n", "n"), DistinctCount("d", "n")))
REQUESTS: dict[str, SearchRequest] = {
    "the first 10 by key": SearchRequest(MatchAll()),
    "10 of a range by a field": SearchRequest(Range("n", 100, 500), (FieldSort("n"),)),
    "100 of a range by a field": SearchRequest(Range("n", 100, 500), (FieldSort("n"),), limit=100),
    "the nearest 10": SearchRequest(KnnVector("v", VECTOR, 10), (ScoreSort(),)),
    "the nearest 10, counted": SearchRequest(KnnVector("v", VECTOR, 10), (ScoreSort(),), count_total=True),
    "10 best by words": SearchRequest(Match("text", "w3 w17"), (ScoreSort(),)),
    "groups of a range": SearchRequest(Range("n", 100, 500), limit=0, group_bys=(BY_CITY,)),
}
REPEATS = 40


@dataclass
class Shards:
    """In this process."""

    views: list[IndexView]
    sent_bytes: int = 0
    took_us: float = 0.0

    def __post_init__(self) -> None:
        self.names = [f"shard-{number}" for number in range(len(self.views))]
        self._searches = [ShardSearches() for _ in self.views]

    @property
    def expected(self) -> int:
        return len(self.views)

    def begin(self, call: ShardCall) -> list[ShardReply | LutraError]:
        return [*self.ask(dict.fromkeys(range(len(self.views)), call)).values()]

    def ask(self, calls: Mapping[int, ShardCall]) -> dict[int, ShardReply | LutraError]:
        began_ns = time.process_time_ns()
        replies: dict[int, ShardReply | LutraError] = {}
        for shard, call in calls.items():
            reply = self._searches[shard].answer(self, self.views[shard], call, self)
            self.sent_bytes += len(call.known) + len(reply.hits) + len(reply.aggregated) + len(reply.gathered)
            replies[shard] = reply
        self.took_us += (time.process_time_ns() - began_ns) / 1e3
        return replies

    def read(self, hits: list[Hit], request: SearchRequest, shown: Shown) -> list[Row | None]:
        return [Row(hit.key) for hit in hits]

    def are_gone(self, hits: list[Hit]) -> list[bool]:
        return [False] * len(hits)


def rows_of(count: int) -> list[Row]:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((count, DIMENSION)).astype("<f4")
    numbers = rng.integers(0, 1_000, (count, 8)).tolist()
    return [
        Row(
            (("id", f"row-{i * 7919 % 1_000_003:07d}"),),
            [
                ("city", f"city-{own[0] % 50}", 1),
                ("n", own[1], 1),
                ("text", " ".join(f"w{word % 40}" for word in own), 1),
                ("v", vectors[i].tobytes(), 1),
            ],
        )
        for i, own in enumerate(numbers)
    ]


def least_us(call: Callable[[], Any]) -> float:
    """Of processor time, the least of many."""
    took = []
    for _ in range(REPEATS):
        began_ns = time.process_time_ns()
        call()
        took.append(time.process_time_ns() - began_ns)
    return min(took) / 1e3


def no_rows(aggregated: Aggregated, request: SearchRequest) -> None:
    """No groups have rows here."""


def measure(rows: list[Row], view_of: Callable[[list[Row]], IndexView]) -> list[dict[str, Any]]:
    whole, coordinator, told = view_of(rows), Coordinator(SCHEMA, KEY), []
    for name, request in REQUESTS.items():
        alone_us = least_us(lambda request=request: search(whole, request))  # type: ignore[misc]
        print(f"{name:28} one view {alone_us:7.0f} µs")
        told.append({"search": name, "shards": 0, "us": alone_us})
        for count in (1, 3, 8):
            shards = Shards([view_of(rows[number::count]) for number in range(count)])
            best: dict[str, Any] = {}
            for _ in range(REPEATS):
                shards.sent_bytes, shards.took_us = 0, 0.0
                began_ns = time.process_time_ns()
                coordinator.search(request, shards, no_rows)
                us = (time.process_time_ns() - began_ns) / 1e3
                if not best or us < best["us"]:
                    best = {"us": us, "merging_us": us - shards.took_us, "bytes": shards.sent_bytes}
            print(
                f"{'':19} {count} shards {best['us']:10.0f} µs, merging {best['merging_us']:5.0f} µs, "
                f"{best['bytes']:7,} bytes"
            )
            told.append({"search": name, "shards": count, **best})
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder:
        resources = Resources.open(f"{folder}/objects", Path(folder, "scratch"), 64 * 1024 * 1024)
        made = 0

        def view_of(rows: list[Row]) -> IndexView:
            nonlocal made
            made += 1
            index = SearchIndex(SCHEMA, KEY, IndexStorage(resources.store, f"indexes/{made}/"), resources)
            index.apply(rows)
            return index.view()

        told = measure(rows_of(options.rows), view_of)
        resources.close()
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
