"""The same rows in DuckDB and in tantivy, in this process and on one thread each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.search_api.rows import COLOURS, Rows, key_of, kind_of, part_of
from bench.text import Tantivy

Answers = Callable[[Any], Any]
EARTH_RADIUS_M: Final = 6_371_008.7714
_HAVERSINE: Final = (
    f"2 * {EARTH_RADIUS_M} * asin(least(1, sqrt(pow(sin(radians(lat - ?) / 2), 2) "
    "+ cos(radians(lat)) * cos(radians(?)) * pow(sin(radians(lon - ?) / 2), 2))))"
)


class DuckDb:
    """Answers by the names of the questions: how many rows match, or what groups there are."""

    name = "duckdb"

    def __init__(self, rows: Rows) -> None:
        self._connection = importlib.import_module("duckdb").connect()
        self._connection.execute("set threads = 1")
        arrow = importlib.import_module("pyarrow")
        sizes = [len(items) for items in rows.items]
        pairs = np.array([pair for items in rows.items for pair in items], np.int64).reshape(-1, 2)
        tables = {
            "things": {
                "id": [key_of(row) for row in range(rows.count)],
                "n": rows.n,
                "price": rows.price,
                "kind": [kind_of(number) for number in rows.kind.tolist()],
                "colour": [COLOURS[number] for number in rows.colour.tolist()],
                "ms": rows.at_ms,
                "moment": rows.at_ms.astype("datetime64[ms]"),
                "lat": rows.places[:, 0].copy(),
                "lon": rows.places[:, 1].copy(),
            },
            "items": {
                "thing": np.repeat(np.arange(rows.count), sizes),
                "part": [part_of(number) for number in pairs[:, 0].tolist()],
                "amount": pairs[:, 1].copy(),
            },
        }
        for name, columns in tables.items():
            self._connection.register("given", arrow.table(columns))
            self._connection.execute(f"create table {name} as select * from given")
            self._connection.unregister("given")
        self.answers: dict[str, Answers] = {
            "term": self._count("kind = ?", lambda kind: [kind]),
            "range": self._count("n >= ? and n < ?", list),
            "bool of three": self._count("colour = ? and price between ? and ? and kind <> ?", list),
            "geo distance": self._count(f"{_HAVERSINE} <= ?", lambda a: [a[0], a[0], a[1], a[2]]),
            "nested": self._nested,
            "date histogram": self._date_histogram,
            "group by, 1,000 groups": self._group_by,
            "group by, sum and average": self._group_by_sums,
        }

    def _rows(self, sql: str, asked: list[Any]) -> list[Any]:
        return self._connection.execute(sql, asked).fetchall()  # type: ignore[no-any-return]

    def _count(self, where: str, operands: Callable[[Any], list[Any]]) -> Answers:
        """The first ten by key, and how many there are where that is asked: as Lutra does without a total."""
        return lambda asked: self._rows(f"select id from things where {where} order by id limit 10", operands(asked))

    def _nested(self, asked: Any) -> list[Any]:
        within = "select thing from items where part = ? and amount >= ?"
        numbered = f"select id from things where rowid in ({within}) order by id limit 10"
        return self._rows(numbered, list(asked))

    def _date_histogram(self, colour: str) -> list[Any]:
        month = "cast(epoch_ms(date_trunc('month', moment)) as bigint)"
        return self._rows(f"select {month}, count(*) from things where colour = ? group by 1 order by 1", [colour])

    def _group_by(self, asked: tuple[int, int]) -> list[Any]:
        within = "ms >= ? and ms < ?"
        return self._rows(f"select kind, count(*) from things where {within} group by 1 order by 2 desc, 1", [*asked])

    def _group_by_sums(self, low: float) -> list[Any]:
        columns = "colour, count(*), sum(price), avg(price)"
        return self._rows(f"select {columns} from things where price >= ? group by 1 order by 2 desc, 1", [low])


class TantivyTexts:
    """The best of words and of phrases."""

    name = "tantivy"

    def __init__(self, rows: Rows, folder: Path) -> None:
        self._index = Tantivy(importlib.import_module("tantivy"), rows.texts, folder)
        self.answers: dict[str, Answers] = {"match, top 10": self._index.best, "phrase": self._index.phrase}

    def rows(self, hits: Any) -> list[int]:
        """Numbers of the rows that were found."""
        return self._index.rows(hits)
