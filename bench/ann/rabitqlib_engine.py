"""rabitqlib in the benchmark: SymphonyQG, and IVF, both with all they have in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# It has no cosine: unit vectors are in that order by distance, too.
_METRICS = {"l2": "l2", "cosine": "l2", "ip": "ip"}


class SymphonyQg:
    """rabitqlib's SymphonyQG: neighbours' codes of one bit inside each node of a graph, all of it in memory."""

    def build(self, vectors: npt.NDArray[np.float32], metric: str, folder: Path, threads: int) -> None:
        import rabitqlib

        index = rabitqlib.SymqgIndex(vectors.shape[1], 32, metric=_METRICS[metric])
        index.build(np.ascontiguousarray(_unit(vectors, metric)), 200, num_threads=threads)
        index.save(str(folder / "rabitqlib_symqg"))

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        import rabitqlib

        self._index = rabitqlib.SymqgIndex.load(str(folder / "rabitqlib_symqg"))
        self._metric = metric

    def sweep(self) -> list[Mapping[str, Any]]:
        return [{"ef": ef} for ef in (40, 60, 80, 100, 120, 150, 200, 250, 300, 400, 600, 900)]

    def search(
        self, queries: npt.NDArray[np.float32], k: int, threads: int, params: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        ids, _ = self._index.search(_unit(queries, self._metric), k, max(k, params["ef"]), num_threads=threads)
        return np.asarray(ids, np.int64)

    def counters(self) -> Mapping[str, float]:
        return {}


class RabitqIvf:
    """rabitqlib's IVF of codes of 4 bits, which it orders by, or of raw vectors behind codes of one bit."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def build(self, vectors: npt.NDArray[np.float32], metric: str, folder: Path, threads: int) -> None:
        import rabitqlib

        lists = max(16, int(4 * np.sqrt(len(vectors))))
        data = np.ascontiguousarray(_unit(vectors, metric))
        means = rabitqlib.RaBitQKMeans(data.shape[1], lists, niter=10, num_threads=threads)
        means.train(data)
        index = rabitqlib.IvfIndex(data.shape[1], len(data), lists, self._bits, metric=_METRICS[metric])
        index.build(data, means.centroids, means.assignments, num_threads=threads)
        index.save(str(folder / f"rabitqlib_ivf{self._bits}"))

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        import rabitqlib

        self._index = rabitqlib.IvfIndex.load(str(folder / f"rabitqlib_ivf{self._bits}"))
        self._metric = metric

    def sweep(self) -> list[Mapping[str, Any]]:
        return [{"nprobe": n} for n in (8, 16, 32, 48, 64, 96, 128, 192, 256)]

    def search(
        self, queries: npt.NDArray[np.float32], k: int, threads: int, params: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        ids, _ = self._index.search(_unit(queries, self._metric), k, params["nprobe"], num_threads=threads)
        return np.asarray(ids, np.int64)

    def counters(self) -> Mapping[str, float]:
        return {}


def _unit(vectors: npt.NDArray[np.float32], metric: str) -> npt.NDArray[np.float32]:
    if metric != "cosine":
        return vectors
    unit: npt.NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    return unit
