"""Qdrant's local mode: its client's own store, which compares all rows with numpy."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.peer import Setting


class QdrantLocal:
    """One collection; its own documentation has it for up to 20,000 rows. It is not for threads, so they take turns."""

    package = "qdrant-client"
    takes_rows = True

    def load(self, data: DataSet, folder: Path) -> None:
        from qdrant_client import models

        self._connect(folder)
        vectors = models.VectorParams(size=data.base.shape[1], distance=models.Distance.EUCLID)
        self._client.create_collection("items", vectors_config=vectors)
        for first, block, near in data.blocks():
            self._add(first, block, near.tolist())

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        self._client.close()
        return "no index"

    def open(self, folder: Path, dimension: int) -> None:
        self._connect(folder)

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [[{}]]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        from qdrant_client import models

        passes = None
        if among is not None:
            condition = models.FieldCondition(key=among.column, range=models.Range(lt=among.below))
            passes = models.Filter(must=[condition])
        with self._lock:
            found = self._client.query_points(
                "items", query=query.tolist(), limit=k, query_filter=passes, with_payload=False
            )
        return [point.id for point in found.points]

    def write(self, first: int, vectors: Vectors) -> None:
        self._add(first, vectors, [NUMBERS - 1] * len(vectors))

    def _add(self, first: int, vectors: Vectors, near: Sequence[int]) -> None:
        from qdrant_client import models

        points = [
            models.PointStruct(id=number, vector=vector.tolist(), payload={"n": number % NUMBERS, "near": own})
            for number, (vector, own) in enumerate(zip(vectors, near, strict=True), first)
        ]
        with self._lock:
            self._client.upsert("items", points)

    def _connect(self, folder: Path) -> None:
        from qdrant_client import QdrantClient

        warnings.filterwarnings("ignore", message="Local mode is not recommended")
        self._lock = threading.Lock()
        self._client: Any = QdrantClient(path=str(folder / "data"), force_disable_check_same_thread=True)
