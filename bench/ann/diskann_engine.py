"""DiskANN's graph on disk in the benchmark (Jayaram Subramanya et al., NeurIPS'19), by a wheel that is maintained.

``diskannpy`` wants a numpy that nothing else here runs with. The wheel of `leann-backend-diskann` carries the same
binding for today's: ``pip install --no-deps leann-backend-diskann mkl==2024.2.2 intel-openmp tbb``. Only that module of
it is loaded.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

_PREFIX = "diskann"
_MEMORY_SHARE = 0.1
"""Of the vectors' bytes: what its codes may take while it searches."""


class DiskAnn:
    """Degree 64, built with 100 candidates; codes of a tenth of the vectors in memory, no node cached."""

    def build(self, vectors: npt.NDArray[np.float32], metric: str, folder: Path, threads: int) -> None:
        binding = load_binding()
        target = folder / "diskann"
        target.mkdir(exist_ok=True)
        with (target / "vectors.bin").open("wb") as file:
            np.array(vectors.shape, np.uint32).tofile(file)
            np.ascontiguousarray(vectors).tofile(file)
        with contextlib.chdir(target):
            binding.build_disk_float_index(
                _metric(binding, metric),
                "vectors.bin",
                _PREFIX,
                100,
                64,
                max(0.01, vectors.nbytes * _MEMORY_SHARE / 2**30),
                max(1.0, vectors.nbytes * 2 / 2**30),
                threads,
                0,
                "",
            )

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        binding = load_binding()
        self._index: Any = binding.StaticDiskFloatIndex(
            _metric(binding, metric), str(folder / "diskann" / _PREFIX), 2, 0, cache_mechanism=2, partition_prefix=""
        )

    def sweep(self) -> list[Mapping[str, Any]]:
        return [{"complexity": complexity, "beam": 4} for complexity in (20, 40, 80, 160, 320)]

    def search(
        self, queries: npt.NDArray[np.float32], k: int, threads: int, params: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        complexity = max(k, params["complexity"])
        found, _ = self._index.batch_search(queries, len(queries), k, complexity, params["beam"], threads)
        return np.asarray(found, np.int64)

    def counters(self) -> Mapping[str, float]:
        return {}


def _metric(binding: ModuleType, metric: str) -> Any:
    return {"l2": binding.Metric.L2, "cosine": binding.Metric.COSINE, "ip": binding.Metric.INNER_PRODUCT}[metric]


def load_binding() -> ModuleType:
    """The wheel's binding alone: the package around it wants much that is not needed to search."""
    package = importlib.util.find_spec("leann_backend_diskann")
    if package is None or not package.submodule_search_locations:
        raise ImportError("DiskANN is not installed: pip install --no-deps leann-backend-diskann mkl==2024.2.2")
    folder = Path(package.submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("_diskannpy", next(folder.glob("_diskannpy*.so")))
    assert spec is not None
    assert spec.loader is not None
    binding = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(binding)
    return binding
