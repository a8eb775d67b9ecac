"""Peers that are libraries: what each of them is made to do, in a process of its own (`bench.peers.host`)."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from bench.peers.data import Among, DataSet, Vectors
from bench.peers.peer import PeerUnavailable, Setting


class Library(Protocol):
    """One of them. It imports what it measures where it is first needed, so that the rest can be asked without it."""

    package: str
    """On PyPI."""
    takes_rows: bool
    """While it is searched, once it is built."""

    def load(self, data: DataSet, folder: Path) -> None:
        """Hands over all rows, as far as the library parts that from building."""

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        """Makes the index and writes it to the folder; says what there is now."""

    def open(self, folder: Path, dimension: int) -> None:
        """What was built, in this process or another."""

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        """Row numbers, nearest first, for one query [d]. Threads call it side by side."""

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        """As `bench.peers.peer.Running.ways`."""

    def write(self, first: int, vectors: Vectors) -> None:
        """New rows, from that number on, where it takes any."""


def _module(name: str, class_name: str, *arguments: object) -> Callable[[], Library]:
    def make() -> Library:
        made: Library = getattr(importlib.import_module(f"bench.peers.{name}"), class_name)(*arguments)
        return made

    return make


HOSTED: Final[Mapping[str, Callable[[], Library]]] = {
    "hnswlib": _module("hnswlib_library", "Hnswlib"),
    "faiss-ivf-flat": _module("faiss_library", "FaissIvf", "ivf_flat"),
    "faiss-ivf-pq": _module("faiss_library", "FaissIvf", "ivf_pq"),
    "faiss-ivf-rabitq": _module("faiss_library", "FaissIvf", "ivf_rabitq"),
    "diskann": _module("unfiltered_library", "DiskAnn"),
    "rabitqlib": _module("unfiltered_library", "SymphonyQg"),
}
"""Behind the loopback protocol."""
EMBEDDED: Final[Mapping[str, Callable[[], Library]]] = {
    "lutra-embedded": _module("lutra_library", "LutraEmbedded"),
    "chroma": _module("chroma_library", "Chroma"),
    "lancedb": _module("lancedb_library", "LanceDb", "IVF_HNSW_SQ"),
    "lancedb-ivf-pq": _module("lancedb_library", "LanceDb", "IVF_PQ"),
    "qdrant-local": _module("qdrant_library", "QdrantLocal"),
    "sqlite-vec": _module("sqlite_vec_library", "SqliteVec"),
}
"""Asked by threads of their own process."""
LIBRARIES: Final = {**HOSTED, **EMBEDDED}


def version_of(package: str, hint: str = "") -> str:
    """Of an installed package. Raises PeerUnavailable where it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise PeerUnavailable(f"not installed: pip install {hint or package}") from None
