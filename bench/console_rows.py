"""The table of `bench.console`: articles on some topics, with words, numbers and vectors that go by the topic."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

import lutra
from bench.server_process import INSTANCE

TABLE: Final = "articles"
CHUNK: Final = 5_000
_WAITS_MAX: Final = 120
TOPICS: Final = (
    "rivers",
    "coasts",
    "fish",
    "weather",
    "boats",
    "maps",
    "birds",
    "trade",
    "stars",
    "bread",
    "music",
    "steel",
)
_WORDS: Final = (
    "cold",
    "long",
    "old",
    "first",
    "deep",
    "quiet",
    "bright",
    "narrow",
    "early",
    "hidden",
    "great",
    "slow",
)


def fields(dimension: int) -> dict[str, Any]:
    return {
        "title": lutra.Text(),
        "topic": str,
        "year": int,
        "price": float,
        "tags": list[str],
        "seen": dt.datetime,
        "embedding": lutra.Vector(dimension, "cosine"),
    }


def rows(count: int, dimension: int) -> Iterator[list[dict[str, Any]]]:
    """Chunks of rows, the same at each call."""
    centres = np.random.default_rng(7).standard_normal((len(TOPICS), dimension)).astype(np.float32)
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    for first in range(0, count, CHUNK):
        random = np.random.default_rng(first)
        numbers = range(first, min(first + CHUNK, count))
        topics = random.integers(0, len(TOPICS), len(numbers))
        vectors = centres[topics] + 0.8 * random.standard_normal((len(numbers), dimension), dtype=np.float32)
        words = random.integers(0, len(_WORDS), (len(numbers), 2))
        yield [
            {
                "id": f"row-{number:09}",
                "title": f"The {_WORDS[one]} {_WORDS[two]} {TOPICS[topic]} of chapter {number}",
                "topic": TOPICS[topic],
                "year": 1990 + number % 35,
                "price": number % 10_000 / 100,
                "tags": [f"t{number % 97}", f"u{number % 11}"],
                "seen": start + dt.timedelta(seconds=number),
                "embedding": vector,
            }
            for number, topic, (one, two), vector in zip(numbers, topics, words, vectors, strict=True)
        ]


def fill(folder: Path, count: int, dimension: int) -> None:
    """Makes the table in a data directory, or goes on where it was; returns when searches see all rows."""
    with lutra.connect(folder, instance=INSTANCE) as db:
        table = db.create_table(TABLE, key={"id": str}, fields=fields(dimension), exist_ok=True)
        _wait_searchable(table)
        there = table.count()
        for number, chunk in enumerate(rows(count, dimension)):
            if (number + 1) * CHUNK > there:
                table.put_many(chunk)
        _wait_searchable(table)


def _wait_searchable(table: lutra.Table) -> None:
    """A table that was filled at once is ahead of its index by more than a search waits for."""
    for _ in range(_WAITS_MAX):
        with suppress(lutra.RequestTimeout):
            table.search(where=lutra.col("year") >= 0, limit=1)
            return
    raise lutra.RequestTimeout("the index does not catch up with its table")
