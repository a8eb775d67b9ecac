"""Whether deadlines hold: how long heavy searches take that have 5, 50 or 500 ms.

python -m bench.deadlines [--rows 200000] [--dim 128] [--repeats 40] [--data DIR] [--json FILE]

An index in this process, of `bench.ann`'s ``--hard`` vectors with a text, a word and numbers beside them, in segments.
Each kind of search is made without a deadline first, then with each of them: told is how long it took beyond that, and
how often the answer was whole, in part, or nothing. The goal: no more than 20 % and a millisecond beyond.

``--data DIR`` keeps the loaded data for the next run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

import lutra
from bench.ann import data
from lutra.model.aggregations import Avg, GroupByField, Percentiles
from lutra.model.errors import RequestTimeout
from lutra.model.queries import (
    Bool,
    FieldSort,
    KnnVector,
    Match,
    MatchAll,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Wildcard,
)

DEADLINES_MS: Final = (5, 50, 500)
ALLOWED_SHARE: Final = 1.2
ALLOWED_MS: Final = 1.0
WORDS: Final = 2_000
TEXT_WORDS: Final = 20


def rows_of(vectors: np.ndarray[Any, Any]) -> Iterator[dict[str, object]]:
    random = np.random.default_rng(5)
    # Few words are in most texts, as in any language.
    words = random.zipf(1.3, (len(vectors), TEXT_WORDS)) % WORDS
    for n, vector in enumerate(vectors):
        text = " ".join(f"w{word}" for word in words[n])
        yield {"id": n, "n": int(random.integers(1 << 30)), "word": f"k{n % 50_000}", "text": text, "v": vector}


def loaded(database: lutra.Database, rows: int, dimension: int) -> lutra.Table:
    if "deadlines" in database.table_names():
        return database.table("deadlines")
    vectors = data.rows(data.hard(dimension), rows)
    fields: dict[str, Any] = {
        "n": int,
        "word": str,
        "text": lutra.Text(),
        "v": lutra.Vector(dimension, metric="euclidean"),
    }
    table = database.create_table("deadlines", key={"id": int}, fields=fields)
    table.put_many(rows_of(vectors))
    return table


def searches(dimension: int) -> dict[str, SearchRequest]:
    query = data.queries(data.hard(dimension), 10_000_000, 1)[0]

    def near(**more: Any) -> Query:
        return KnnVector("v", query, **more)

    by_score = (ScoreSort(),)
    half = Range("n", 0, 1 << 29)
    metrics = (Avg("avg", "n"), Percentiles("p", "n", (50.0, 99.0)))
    return {
        "10 nearest": SearchRequest(near(top_k=10), by_score, limit=10),
        "1,000 nearest of 20,000 candidates": SearchRequest(
            near(top_k=1_000, num_candidates=20_000), by_score, limit=10
        ),
        "10 nearest among half": SearchRequest(near(top_k=10, filter=half), by_score, limit=10),
        "nearest or with words": SearchRequest(
            Bool(should=(near(top_k=100), Match("text", "w1 w2 w3"))), by_score, limit=10
        ),
        "common words, counted": SearchRequest(Match("text", "w1 w2 w3 w4"), by_score, limit=10, count_total=True),
        "common words": SearchRequest(Match("text", "w1 w2 w3 w4 w5 w6"), by_score, limit=100),
        "any word with a 1": SearchRequest(Wildcard("word", "*1*"), limit=10, count_total=True),
        "all by a number": SearchRequest(MatchAll(), (FieldSort("n", True),), limit=100),
        "groups of all": SearchRequest(
            MatchAll(), limit=0, aggregations=metrics, group_bys=(GroupByField("g", "word", size=100),)
        ),
    }


def timed(table: lutra.Table, request: SearchRequest) -> tuple[float, float, str]:
    """Milliseconds, those of this thread's processor, and what came."""
    index = table._search_index()
    instance = table._instance()
    began_s, began_cpu_s = time.perf_counter(), time.thread_time()
    try:
        result = instance.search(table.name, index, request)
        came = "whole" if result.is_complete else "part"
    except RequestTimeout:
        came = "nothing"
    return (time.perf_counter() - began_s) * 1e3, (time.thread_time() - began_cpu_s) * 1e3, came


def measured(table: lutra.Table, request: SearchRequest, repeats: int) -> Iterator[dict[str, Any]]:
    for _ in range(3):
        timed(table, request)
    yield {"deadline_ms": None, "p50_ms": float(np.median([timed(table, request)[0] for _ in range(5)]))}
    for deadline_ms in DEADLINES_MS:
        limited = replace(request, timeout_ms=deadline_ms, allow_partial=True)
        took = [timed(table, limited) for _ in range(repeats)]
        ms = np.array([one for one, _, _ in took])
        allowed_ms = ALLOWED_SHARE * deadline_ms + ALLOWED_MS
        yield {
            "deadline_ms": deadline_ms,
            "p50_ms": float(np.median(ms)),
            "p99_ms": float(np.percentile(ms, 99)),
            "max_ms": float(ms.max()),
            "cpu_max_ms": max(one for _, one, _ in took),
            "honoured": float((ms <= allowed_ms).mean()),
            **{came: sum(1 for _, _, one in took if one == came) for came in ("whole", "part", "nothing")},
        }


def show(name: str, figures: list[dict[str, Any]]) -> None:
    print(f"{name}: {figures[0]['p50_ms']:.1f} ms without a deadline")
    for one in figures[1:]:
        print(
            f"  {one['deadline_ms']:4} ms: p50 {one['p50_ms']:7.2f}  p99 {one['p99_ms']:7.2f}  "
            f"max {one['max_ms']:7.2f}  (processor {one['cpu_max_ms']:7.2f})  in time {one['honoured']:.0%}  "
            f"whole {one['whole']}, part {one['part']}, nothing {one['nothing']}"
        )


def run(data_dir: Path, arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    told = {}
    with lutra.connect(data_dir) as database:
        table = loaded(database, arguments.rows, arguments.dim)
        len(table)  # once the index has all rows
        for name, request in searches(arguments.dim).items():
            told[name] = list(measured(table, request, arguments.repeats))
            show(name, told[name])
    return told


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--data", type=Path, help="data directory to use, loaded already or not; it is kept")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder:
        told = run(arguments.data or Path(folder) / "data", arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
