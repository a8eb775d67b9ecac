"""LanceDB in a folder: HNSW over 8-bit codes within partitions, or products in partitions, re-ranked; filters first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.peer import Setting

_PROBES: Final = (1, 2, 4, 8, 16, 32, 64)
_BATCH_ROWS: Final = 10_000


class LanceDb:
    """``kind``: an index type of it. The number of partitions is its own choice."""

    package = "lancedb"
    takes_rows = True

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def load(self, data: DataSet, folder: Path) -> None:
        import lancedb

        self._table: Any = None
        connection = lancedb.connect(str(folder / "data"))
        for first, block, near in data.blocks(_BATCH_ROWS):
            rows = _arrow(first, block, near)
            if self._table is None:
                self._table = connection.create_table("items", rows)
            else:
                self._table.add(rows)

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        self._table.create_index(metric="l2", vector_column_name="vector", index_type=self._kind)
        for column in ("n", "near"):
            self._table.create_scalar_index(column)
        return f"{self._kind}, as it chooses"

    def open(self, folder: Path, dimension: int) -> None:
        import lancedb

        self._table = lancedb.connect(str(folder / "data")).open_table("items")

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        if self._kind == "IVF_PQ":
            return [[{"nprobes": n, "refine": refine} for n in _PROBES] for refine in (5, 20)]
        return [[{"nprobes": n, "ef": ef, "refine": 3} for n in _PROBES] for ef in (20, 80, 320)]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        wanted = self._table.search(query, vector_column_name="vector").limit(k).select(["id", "_distance"])
        wanted = wanted.nprobes(int(setting["nprobes"])).refine_factor(int(setting["refine"]))
        if "ef" in setting:
            wanted = wanted.ef(max(int(setting["ef"]), k * int(setting["refine"])))
        if among is not None:
            wanted = wanted.where(f"{among.column} < {among.below}", prefilter=True)
        numbers: list[int] = wanted.to_arrow()["id"].to_pylist()
        return numbers

    def write(self, first: int, vectors: Vectors) -> None:
        self._table.add(_arrow(first, vectors, np.full(len(vectors), NUMBERS - 1)))


def _arrow(first: int, vectors: Vectors, near: npt.NDArray[np.int64]) -> Any:
    import pyarrow

    numbers = np.arange(first, first + len(vectors))
    flat = pyarrow.array(np.ascontiguousarray(vectors).reshape(-1))
    lists = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pyarrow.table({"id": numbers, "n": numbers % NUMBERS, "near": near, "vector": lists})
