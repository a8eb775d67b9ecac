"""ScaNN in the benchmark: partitions by k-means, 4-bit products along their own directions, exact re-ranking.

(Guo et al., ICML'20.) All vectors stay in memory. With one thread its queries go one after the other, with more in
batches by its own threads, which are as many as the processor has.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_DIMENSIONS_A_BLOCK = 2
_TRAINING_ROWS_MAX = 250_000


class Scann:
    """As its documentation advises: the root of the rows leaves, products of two dimensions, anisotropic by 0.2."""

    def build(self, vectors: npt.NDArray[np.float32], metric: str, folder: Path, threads: int) -> None:
        import scann

        rows = np.ascontiguousarray(vectors)
        if metric == "cosine":
            rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-30))
        leaves = int(np.sqrt(len(rows)))
        builder = scann.scann_ops_pybind.builder(rows, 10, "squared_l2" if metric == "l2" else "dot_product")
        builder.tree(leaves, max(1, leaves // 10), training_sample_size=min(len(rows), _TRAINING_ROWS_MAX))
        threshold = float("nan") if metric == "l2" else 0.2
        builder.score_ah(_DIMENSIONS_A_BLOCK, anisotropic_quantization_threshold=threshold)
        target = folder / "scann"
        target.mkdir(exist_ok=True)
        builder.reorder(100).set_n_training_threads(threads).build().serialize(str(target))

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        import scann

        self._searcher: Any = scann.scann_ops_pybind.load_searcher(str(folder / "scann"))
        self._metric = metric

    def sweep(self) -> list[Mapping[str, Any]]:
        return [
            {"leaves": leaves, "reorder": reorder} for reorder in (40, 120) for leaves in (10, 20, 40, 80, 160, 320)
        ]

    def search(
        self, queries: npt.NDArray[np.float32], k: int, threads: int, params: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        how = {
            "final_num_neighbors": k,
            "leaves_to_search": params["leaves"],
            "pre_reorder_num_neighbors": max(k, params["reorder"]),
        }
        if threads == 1:
            return np.stack([np.asarray(self._searcher.search(query, **how)[0], np.int64) for query in queries])
        found, _ = self._searcher.search_batched_parallel(queries, **how)
        return np.asarray(found, np.int64)

    def counters(self) -> Mapping[str, float]:
        return {}
