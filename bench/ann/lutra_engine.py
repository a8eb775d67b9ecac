"""Lutra's own segments in the benchmark."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.writer import write_segment

METRICS = {"l2": Metric.EUCLIDEAN, "cosine": Metric.COSINE, "ip": Metric.DOT_PRODUCT}


class Lutra:
    """One segment with a graph, vectors on disk; ``memory_cap_bytes`` is the segment's budget."""

    def build(self, vectors: npt.NDArray[np.float32], metric: str, folder: Path, threads: int) -> None:
        plan = BuildPlan(SegmentKind.GRAPH, choose_code_bits(vectors.shape[1]), has_lists=True)
        path = folder / "lutra.segment"
        measure = functools.partial(calibrate, threads=threads)

        def keep(order: npt.NDArray[np.uint32]) -> None:
            np.save(folder / "lutra.order.npy", order)

        kept = write_segment(
            path, vectors, METRICS[metric], plan=plan, threads=threads, calibrate=measure, on_order=keep
        )
        kept.close()

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        self._order = np.load(folder / "lutra.order.npy")
        self._segment = Segment.open(folder / "lutra.segment", memory_budget_bytes=memory_cap_bytes)

    def sweep(self) -> list[Mapping[str, Any]]:
        return [{"recall_target": r} for r in (0.8, 0.9, 0.92, 0.93, 0.94, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995)]

    def search(
        self, queries: npt.NDArray[np.float32], k: int, threads: int, params: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        found = self._segment.search(queries, k, recall_target=params["recall_target"], threads=threads)
        self._counters = found.counters.means()
        ids: npt.NDArray[np.int64] = self._order[found.ids].astype(np.int64)
        return ids

    def counters(self) -> Mapping[str, float]:
        return {name: self._counters[name] for name in ("distances", "hops", "reads")}
