"""A table and an index that follows it, over time that the test makes: nothing happens but where it says so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from support.feeding import content_of
from support.indexes import resources_in
from support.lsm import EAGER

from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.check.fsck import IndexCheck
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.kv.memory import MemoryStore
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import Exists, Range, SearchRequest, Term
from lutra.model.rows import CellOperation, ChangeKind, Row, RowChange
from lutra.model.schema import KeyColumn, TableOptions, TableSchema, TableUpdate
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.tables.space import TableSpace

DAY_S = 86_400
FIELDS = (FieldSchema("a", FieldType.LONG), FieldSchema("b", FieldType.KEYWORD))


class ManualClock:
    def __init__(self) -> None:
        self.time_us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.time_us

    @property
    def now_ms(self) -> int:
        return self.time_us // 1_000

    def advance(self, seconds: float) -> None:
        self.time_us += int(seconds * 1_000_000)


class Aging:
    """Fields ``a`` (LONG) and ``b`` (KEYWORD); a column ``c`` that is in no field."""

    def __init__(self, folder: Path, ttl_s: int = DAY_S, index_ttl_s: int = -1) -> None:
        self.clock = ManualClock()
        self.resources = resources_in(folder, policy=EAGER)
        self.store = MemoryStore()
        self.space = TableSpace(self.store, self.clock)
        self.tables = self.space.instance("default")
        options = TableOptions(ttl_s=ttl_s, max_deviation_s=10**9, allow_update=index_ttl_s < 0)
        self.table = self.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),), options=options))
        schema = IndexSchema(FIELDS, ttl_s=index_ttl_s)
        self.definition = IndexCatalog(self.store).create("default", self.table, "x", schema)
        self.feed = self.opened()

    def opened(self) -> IndexFeed:
        feed = IndexFeed(self.definition, self.tables, self.space.changelog, self.store, self.resources, self.clock)
        feed._expire_at_s = -math.inf
        return feed

    def restart(self, kill: bool) -> None:
        """``kill``: without a close. What is not in a manifest is read again."""
        if not kill:
            self.feed.close()
        self.feed = self.opened()

    def write(self, kind: ChangeKind, number: int, ago_s: dict[str, float | None], **columns: Any) -> None:
        """``ago_s``: how old cells are to be, by column; else they are of now."""
        changes: list[Any] = []
        for name, value in columns.items():
            past_s = ago_s.get(name)
            timestamp_ms = None if past_s is None else self.clock.now_ms - int(1_000 * past_s)
            changes.append((name, value, timestamp_ms, CellOperation.PUT))
        self.tables.write("t", RowChange(kind, (("id", number),), changes))

    def put(self, number: int, ago_s: dict[str, float | None] | None = None, **columns: Any) -> None:
        self.write(ChangeKind.PUT, number, ago_s or {}, **columns)

    def put_many(self, numbers: range, ago_s: dict[str, float]) -> None:
        changes = [
            RowChange(
                ChangeKind.PUT,
                (("id", number),),
                [
                    (name, value, self.clock.now_ms - int(1_000 * ago_s.get(name, 0)), CellOperation.PUT)
                    for name, value in (("a", number), ("b", "x"))
                ],
            )
            for number in numbers
        ]
        for first in range(0, len(changes), 200):
            self.tables.write_batch([("t", changes[first : first + 200])])

    def ttl(self, ttl_s: int) -> None:
        self.tables.update("t", TableUpdate(ttl_s=ttl_s))

    def settle(self, steps: int = 200) -> int:
        """Until there is nothing to do at once, and a second has passed; how many steps that took."""
        for step in range(steps):
            self.feed._expire_at_s = min(self.feed._expire_at_s, 0)
            if not self.feed.step():
                return step + 1
        raise AssertionError("there is no end to it")

    @property
    def logged(self) -> int:
        return self.space.changelog.last_sequence

    def indexed(self) -> dict[int, tuple[Any, Any]]:
        """``a`` and ``b`` of each row that a search can find."""
        view = self.feed.view()
        a_of, b_of = content_of(view, "a"), content_of(view, "b")
        asked = {
            Exists("a"): [a for a in a_of.values() if a is not None],
            Exists("b"): [b for b in b_of.values() if b is not None],
            Range("a", 1, None): [a for a in a_of.values() if a is not None and a >= 1],
            Term("b", "x"): [b for b in b_of.values() if b == "x"],
        }
        for query, expected in asked.items():
            answer = search(view, SearchRequest(query, limit=0, count_total=True))
            assert answer.total == len(expected), query
        return {number: (a, b_of[number]) for number, a in a_of.items()}

    def rows(self, *, expired: bool = False) -> list[Row]:
        with self.store.snapshot() as snapshot:
            return list(self.tables.scan_rows(self.table.table_id, snapshot, expired=expired))

    def in_table(self) -> dict[int, tuple[Any, Any]]:
        result = {}
        for row in self.rows():
            cells = {name: value for name, value, _ in reversed(row.cells)}
            result[int(row.key[0][1])] = (cells.get("a"), cells.get("b"))
        return result

    def faults(self) -> list[str]:
        """Of the objects as they are on the store now, against the table as it is now."""
        storage = IndexStorage(self.resources.store, prefix_of(self.definition))
        described = self.tables.describe("t").schema
        with IndexCheck(storage, self.definition.schema, described.key) as check:
            check.check_objects()
            assert check.manifest is not None
            changes = self.space.changelog.read(self.table.table_id, check.manifest.progress.position, 10**6)
            changed = {self.feed.index.encode(change.key) for change in changes}
            rows = self.rows(expired=True)
            check.check_rows(rows, changed, table_ttl_s=described.options.ttl_s, now_ms=self.clock.now_ms)
            return [str(fault) for fault in check.faults]

    def close(self) -> None:
        self.feed.close()
        self.resources.close()
