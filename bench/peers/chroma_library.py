"""Chroma's persistent client: HNSW with M = 16 and efConstruction = 200, rows in SQLite."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.peer import Setting

_EF: Final = (10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1_000)
_BATCH_ROWS: Final = 2_000


class Chroma:
    """A collection; ``ef_search`` is a setting of it, which is changed before a search where it has to be."""

    package = "chromadb"
    takes_rows = True

    def load(self, data: DataSet, folder: Path) -> None:
        space = {"space": "l2", "ef_construction": 200, "max_neighbors": 16, "ef_search": 100}
        self._collection: Any = _client(folder).create_collection("items", configuration={"hnsw": space})
        for first, block, near in data.blocks(_BATCH_ROWS):
            self._add(first, block, near.tolist())

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        return "M 16, efConstruction 200, built while rows are added"

    def open(self, folder: Path, dimension: int) -> None:
        self._folder, self._lock, self._ef = folder, threading.Lock(), 0.0
        self._collection = _client(folder).get_collection("items")

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [[{"ef": ef} for ef in _EF]]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        with self._lock:
            if setting["ef"] != self._ef:
                self._set(setting["ef"])
        where = None if among is None else {among.column: {"$lt": among.below}}
        found = self._collection.query(query_embeddings=query[None], n_results=k, where=where, include=[])
        return [int(one) for one in found["ids"][0]]

    def write(self, first: int, vectors: Vectors) -> None:
        self._add(first, vectors, [NUMBERS - 1] * len(vectors))

    def _set(self, ef: float) -> None:
        """The setting counts from when the collection is next opened."""
        from chromadb.api.shared_system_client import SharedSystemClient

        self._collection.modify(configuration={"hnsw": {"ef_search": int(ef)}})
        SharedSystemClient.clear_system_cache()
        self._collection, self._ef = _client(self._folder).get_collection("items"), ef

    def _add(self, first: int, vectors: Vectors, near: Sequence[int]) -> None:
        numbers = range(first, first + len(vectors))
        columns = [{"n": number % NUMBERS, "near": own} for number, own in zip(numbers, near, strict=True)]
        self._collection.add(ids=[str(number) for number in numbers], embeddings=vectors, metadatas=columns)


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder / "data"), Settings(anonymized_telemetry=False))
