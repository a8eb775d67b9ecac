"""Lutra within a Python program, by its own API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lutra
from bench.index_state import IndexWatch
from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.lutra_peer import TARGETS
from bench.peers.peer import Setting
from lutra import col

_SETTLES_WITHIN_S = 7_200.0


class LutraEmbedded:
    """`lutra.connect` with its defaults."""

    package = "lutra"
    takes_rows = True

    def load(self, data: DataSet, folder: Path) -> None:
        fields: Any = {"n": int, "near": int, "embedding": lutra.Vector(data.base.shape[1], "euclidean")}
        self._db: Any = lutra.connect(folder / "data")
        self._table: Any = self._db.create_table("vectors", key={"id": int}, fields=fields)
        self._table.put_many(row for first, block, near in data.blocks() for row in _rows(first, block, near.tolist()))

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        watch = IndexWatch(folder / "data")
        state = watch.wait(lambda one: one.rows >= len(data.base) and one.is_settled, _SETTLES_WITHIN_S)
        self._db.close()
        return f"{len(state.segments)} segments ({state.kinds})"

    def open(self, folder: Path, dimension: int) -> None:
        self._db = lutra.connect(folder / "data")
        self._table = self._db.table("vectors")

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [[{"target": target} for target in TARGETS]]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        where = None if among is None else col(among.column) < among.below
        # `fresh` waits for the latest writes of this process, which no other here does.
        found = self._table.search(
            query, where=where, limit=k, recall=float(setting["target"]), columns=[], fresh=False
        )
        return [row["id"] for row in found]

    def write(self, first: int, vectors: Vectors) -> None:
        self._table.put_many(_rows(first, vectors, [NUMBERS - 1] * len(vectors)))


def _rows(first: int, vectors: Vectors, near: Sequence[int]) -> Iterator[dict[str, object]]:
    for number, (vector, own) in enumerate(zip(vectors, near, strict=True), first):
        yield {"id": number, "n": number % NUMBERS, "near": own, "embedding": vector}
