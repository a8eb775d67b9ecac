"""The peers behind one face. Each is imported only in the process that measures it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.ann.diskann_engine import DiskAnn
from bench.ann.lutra_engine import Lutra
from bench.ann.rabitqlib_engine import RabitqIvf, SymphonyQg
from bench.ann.scann_engine import Scann

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Params = Mapping[str, Any]


class Engine(Protocol):
    """One way to search. ``build`` and ``open`` run in different processes; ``folder`` is all that passes between."""

    def build(self, vectors: Vectors, metric: str, folder: Path, threads: int) -> None: ...

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None: ...

    def sweep(self) -> list[Params]:
        """The settings of a curve, from fast to thorough."""

    def search(self, queries: Vectors, k: int, threads: int, params: Params) -> Ids:
        """int64[q, k]; -1 where fewer were found."""

    def counters(self) -> Mapping[str, float]:
        """Per query of the last search, where the engine counts: distances, hops, reads."""


class Hnswlib:
    """hnswlib, M=16, efConstruction=200: the yardstick."""

    def build(self, vectors: Vectors, metric: str, folder: Path, threads: int) -> None:
        import hnswlib

        index = hnswlib.Index(metric, vectors.shape[1])
        index.init_index(len(vectors), ef_construction=200, M=16, random_seed=1)
        index.set_num_threads(threads)
        index.add_items(vectors)
        index.save_index(str(folder / "hnswlib"))

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        import hnswlib

        self._index = hnswlib.Index(metric, dimension)
        self._index.load_index(str(folder / "hnswlib"))

    def sweep(self) -> list[Params]:
        return [{"ef": ef} for ef in (20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1_280)]

    def search(self, queries: Vectors, k: int, threads: int, params: Params) -> Ids:
        self._index.set_ef(max(k, params["ef"]))
        labels, _ = self._index.knn_query(queries, k, num_threads=threads)
        return np.asarray(labels, np.int64)

    def counters(self) -> Mapping[str, float]:
        return {}


class Faiss:
    """faiss: ``kind`` is hnsw, ivf_flat, ivf_rabitq or ivf_pq (both with fast-scan, re-ranked) or flat."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def build(self, vectors: Vectors, metric: str, folder: Path, threads: int) -> None:
        import faiss

        faiss.omp_set_num_threads(threads)
        dimension = vectors.shape[1]
        space = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        lists = max(16, int(4 * np.sqrt(len(vectors))))
        factory = {
            "hnsw": "HNSW16",
            "ivf_flat": f"IVF{lists},Flat",
            "ivf_rabitq": f"IVF{lists},RaBitQfs4,RFlat",
            "ivf_pq": f"IVF{lists},PQ{dimension // 2}x4fs,RFlat",
            "flat": "Flat",
        }[self._kind]
        try:
            index: Any = faiss.index_factory(dimension, factory, space)
        except RuntimeError:  # an older faiss, whose RaBitQ has no fast-scan
            index = faiss.index_factory(dimension, f"IVF{lists},RaBitQ,RFlat", space)
        if self._kind == "hnsw":
            index.hnsw.efConstruction = 200
        data = _normalised(vectors, metric)
        if not index.is_trained:
            index.train(data[: min(len(data), 64 * lists)])
        index.add(data)
        faiss.write_index(index, str(folder / f"faiss_{self._kind}"))

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        import faiss

        self._faiss = faiss
        self._metric = metric
        self._index = faiss.read_index(str(folder / f"faiss_{self._kind}"))

    def sweep(self) -> list[Params]:
        if self._kind == "hnsw":
            return [{"ef": ef} for ef in (20, 40, 80, 160, 320, 640, 1_280)]
        if self._kind == "ivf_flat":
            return [{"nprobe": n} for n in (1, 2, 4, 8, 16, 32, 64, 128, 256)]
        if self._kind in ("ivf_rabitq", "ivf_pq"):
            return [{"nprobe": n, "rerank": r} for r in (10, 40) for n in (8, 16, 32, 64, 128, 256)]
        return [{}]

    def search(self, queries: Vectors, k: int, threads: int, params: Params) -> Ids:
        faiss = self._faiss
        faiss.omp_set_num_threads(threads)
        extra = None
        if self._kind == "hnsw":
            extra = faiss.SearchParametersHNSW(efSearch=params["ef"])
        elif self._kind == "ivf_flat":
            extra = faiss.SearchParametersIVF(nprobe=params["nprobe"])
        elif self._kind in ("ivf_rabitq", "ivf_pq"):
            base = faiss.SearchParametersIVF(nprobe=params["nprobe"])
            extra = faiss.IndexRefineSearchParameters(k_factor=params["rerank"], base_index_params=base)
        _, ids = self._index.search(_normalised(queries, self._metric), k, params=extra)
        return np.asarray(ids, np.int64)

    def counters(self) -> Mapping[str, float]:
        return {}


class Usearch:
    """usearch with the connectivity and expansion of the yardstick."""

    def build(self, vectors: Vectors, metric: str, folder: Path, threads: int) -> None:
        self._make(metric, vectors.shape[1])
        self._index.add(np.arange(len(vectors)), vectors, threads=threads)
        self._index.save(str(folder / "usearch"))

    def open(self, folder: Path, metric: str, dimension: int, memory_cap_bytes: int | None) -> None:
        self._make(metric, dimension)
        self._index.load(str(folder / "usearch"))

    def sweep(self) -> list[Params]:
        return [{"ef": ef} for ef in (20, 40, 80, 160, 320, 640, 1_280)]

    def search(self, queries: Vectors, k: int, threads: int, params: Params) -> Ids:
        self._index.expansion_search = max(k, params["ef"])
        found = self._index.search(queries, k, threads=threads)
        return np.asarray(found.keys, np.int64).reshape(len(queries), -1)

    def counters(self) -> Mapping[str, float]:
        return {}

    def _make(self, metric: str, dimension: int) -> None:
        from usearch.index import Index

        space = {"l2": "l2sq", "cosine": "cos", "ip": "ip"}[metric]
        self._index = Index(ndim=dimension, metric=space, dtype="f32", connectivity=16, expansion_add=200)


def _normalised(vectors: Vectors, metric: str) -> Vectors:
    """faiss has no cosine: the inner product of unit vectors is."""
    if metric != "cosine":
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(norms, np.float32(1e-30))
    return unit


def engine(name: str) -> Engine:
    """The engine of that name. Raises KeyError."""
    makers: dict[str, Engine] = {
        "hnswlib": Hnswlib(),
        "faiss-hnsw": Faiss("hnsw"),
        "faiss-ivf-flat": Faiss("ivf_flat"),
        "faiss-ivf-rabitq": Faiss("ivf_rabitq"),
        "faiss-ivf-pq": Faiss("ivf_pq"),
        "faiss-flat": Faiss("flat"),
        "usearch": Usearch(),
        "diskann": DiskAnn(),
        "scann": Scann(),
        "rabitqlib-symqg": SymphonyQg(),
        "rabitqlib-ivf": RabitqIvf(4),
        "rabitqlib-ivf-raw": RabitqIvf(32),
        "lutra": Lutra(),
    }
    return makers[name]


NAMES = (
    "lutra",
    "hnswlib",
    "faiss-hnsw",
    "faiss-ivf-flat",
    "faiss-ivf-rabitq",
    "faiss-ivf-pq",
    "faiss-flat",
    "usearch",
    "scann",
    "rabitqlib-symqg",
    "rabitqlib-ivf",
    "rabitqlib-ivf-raw",
    "diskann",
)
# These take a cap on their memory and keep to it.
KEEP_TO_A_CAP = frozenset({"lutra"})
