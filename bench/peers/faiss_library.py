"""faiss over loopback: inverted lists of raw vectors, and of 4-bit products or RaBitQ codes that are re-ranked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.ann.engines import Faiss
from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.peer import Setting

_PROBES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class FaissIvf:
    """`bench.ann`'s, with filters by bitmap and rows added."""

    package = "faiss-cpu"
    takes_rows = False  # its documentation forbids to add while others search

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._has_codes = kind != "ivf_flat"

    def load(self, data: DataSet, folder: Path) -> None:
        """It has no step of its own: adding is building."""

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        Faiss(self._kind).build(np.ascontiguousarray(data.base), "l2", folder, threads)
        np.save(folder / "near.npy", data.near)
        return f"{max(16, int(4 * np.sqrt(len(data.base))))} lists"

    def open(self, folder: Path, dimension: int) -> None:
        import faiss

        near = np.load(folder / "near.npy")
        self._faiss: Any = faiss
        self._columns = {"near": near, "n": np.arange(len(near)) % NUMBERS}
        self._passing: dict[Among, npt.NDArray[np.uint8]] = {}
        self._index: Any = faiss.read_index(str(folder / f"faiss_{self._kind}"))

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        if not self._has_codes:
            return [[{"nprobe": n} for n in _PROBES]]
        return [[{"nprobe": n, "rerank": rerank} for n in _PROBES] for rerank in (4, 10, 40)]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        faiss = self._faiss
        faiss.omp_set_num_threads(1)
        selector = None
        if among is not None:
            if among not in self._passing:
                passing = self._columns[among.column] < among.below
                self._passing[among] = np.packbits(passing, bitorder="little")
            selector = faiss.IDSelectorBitmap(self._passing[among])
        wanted = faiss.SearchParametersIVF(nprobe=int(setting["nprobe"]), sel=selector)
        if self._has_codes:
            rerank = int(setting["rerank"])
            wanted = faiss.IndexRefineSearchParameters(k_factor=rerank, base_index_params=wanted)
        _, numbers = self._index.search(query[None], k, params=wanted)
        return [number for number in numbers[0].tolist() if number >= 0]

    def write(self, first: int, vectors: Vectors) -> None:
        raise NotImplementedError("faiss takes no rows while it is searched")
