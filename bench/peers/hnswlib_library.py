"""hnswlib, M = 16 and efConstruction = 200, over loopback. Its filters are functions of Python, called for each row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.ann.engines import Hnswlib as Yardstick
from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.peer import Setting

_EF: Final = (10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1_280)
_EF_FILTERED: Final = (40, 160, 640, 1_280)
_ROOM: Final = 100_000
"""For rows that are written later."""


class Hnswlib:
    """`bench.ann`'s, with filters and room for more."""

    package = "hnswlib"
    takes_rows = True

    def load(self, data: DataSet, folder: Path) -> None:
        """It has no step of its own: adding is building."""

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        Yardstick().build(data.base, "l2", folder, threads)
        np.save(folder / "near.npy", data.near)
        return "M 16, efConstruction 200"

    def open(self, folder: Path, dimension: int) -> None:
        import hnswlib

        near = np.load(folder / "near.npy")
        self._columns = {"near": near, "n": np.arange(len(near)) % NUMBERS}
        self._masks: dict[Among, bytes] = {}
        self._index: Any = hnswlib.Index("l2", dimension)
        self._index.load_index(str(folder / "hnswlib"), len(near) + _ROOM)

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [[{"ef": ef} for ef in (_EF_FILTERED if among.column else _EF)]]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        self._index.set_ef(int(setting["ef"]))
        passes = None if among is None else self._mask(among).__getitem__
        while k:
            try:
                labels, _ = self._index.knn_query(query[None], k, num_threads=1, filter=passes)
            except RuntimeError:  # fewer than k rows were found, and it gives none of them
                k //= 2
            else:
                return [int(number) for number in labels[0]]
        return []

    def write(self, first: int, vectors: Vectors) -> None:
        self._index.add_items(vectors, np.arange(first, first + len(vectors)), num_threads=1)

    def _mask(self, among: Among) -> bytes:
        if among not in self._masks:
            passing = np.zeros(len(self._columns["n"]) + _ROOM, np.uint8)
            passing[: len(self._columns["n"])] = self._columns[among.column] < among.below
            self._masks[among] = passing.tobytes()
        return self._masks[among]
