"""sqlite-vec: a virtual table of SQLite that compares all rows; filters are columns of it.

By apsw, as some builds of Python have an sqlite3 that loads no extensions.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.peer import Setting


class SqliteVec:
    """A ``vec0`` table, a connection for each thread, a commit a batch."""

    package = "sqlite-vec"
    hint = "sqlite-vec apsw"
    takes_rows = True

    def load(self, data: DataSet, folder: Path) -> None:
        self._path, self._local = folder / "items.db", threading.local()
        columns = f"id integer primary key, n integer, near integer, embedding float[{data.base.shape[1]}]"
        self._connection().execute(f"create virtual table items using vec0({columns})")
        for first, block, near in data.blocks():
            self._add(first, block, near.tolist())

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        self._connection().execute("pragma wal_checkpoint(truncate)")
        return "no index"

    def open(self, folder: Path, dimension: int) -> None:
        self._path, self._local = folder / "items.db", threading.local()

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [[{}]]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        passes = f"and {among.column} < {among.below} " if among else ""
        text = f"select id from items where embedding match ? and k = ? {passes}order by distance"
        return [row[0] for row in self._connection().execute(text, (query.tobytes(), k))]

    def write(self, first: int, vectors: Vectors) -> None:
        self._add(first, vectors, [NUMBERS - 1] * len(vectors))

    def _add(self, first: int, vectors: Vectors, near: Sequence[int]) -> None:
        rows = [
            (number, number % NUMBERS, own, vector.tobytes())
            for number, (vector, own) in enumerate(zip(vectors, near, strict=True), first)
        ]
        connection = self._connection()
        with connection:
            connection.executemany("insert into items (id, n, near, embedding) values (?, ?, ?, ?)", rows)

    def _connection(self) -> Any:
        import apsw
        import sqlite_vec

        made: Any = getattr(self._local, "connection", None)
        if made is None:
            made = apsw.Connection(str(self._path))
            made.set_busy_timeout(60_000)
            made.enable_load_extension(True)
            made.load_extension(sqlite_vec.loadable_path())
            made.execute("pragma journal_mode = wal")
            self._local.connection = made
        return made
