"""Libraries that know neither filters nor, once built, more rows: DiskANN and rabitqlib's SymphonyQG, over loopback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.ann import diskann_engine, rabitqlib_engine
from bench.ann.engines import Engine
from bench.peers.data import Among, DataSet, Vectors
from bench.peers.peer import Setting


class _Unfiltered:
    """One of `bench.ann`'s."""

    package: str
    takes_rows = False
    hint: str
    _about: str
    _settings: tuple[Setting, ...]

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, data: DataSet, folder: Path) -> None:
        """It has no step of its own: adding is building."""

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        self._engine.build(np.ascontiguousarray(data.base), "l2", folder, threads)
        return self._about

    def open(self, folder: Path, dimension: int) -> None:
        self._engine.open(folder, "l2", dimension, None)

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [] if among.column else [self._settings]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        if among is not None:
            raise NotImplementedError(f"{self.package} has no filters")
        params = {name: int(value) for name, value in setting.items()}
        numbers: list[int] = self._engine.search(query[None], k, 1, params)[0].tolist()
        return numbers

    def write(self, first: int, vectors: Vectors) -> None:
        raise NotImplementedError(f"{self.package} takes no rows once it is built")


class DiskAnn(_Unfiltered):
    """Vectors on disk, codes of a tenth of their bytes in memory."""

    package = "leann-backend-diskann"
    hint = "--no-deps leann-backend-diskann mkl==2024.2.2 intel-openmp tbb"
    _about = "degree 64, 100 candidates while it is built, beam 4"
    _settings = tuple({"complexity": size, "beam": 4} for size in (10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480))

    def __init__(self) -> None:
        super().__init__(diskann_engine.DiskAnn())


class SymphonyQg(_Unfiltered):
    """Codes of one bit in the nodes of a graph, all in memory."""

    package = "rabitqlib"
    hint = "rabitqlib"
    _about = "SymphonyQG, degree 32, 200 candidates while it is built"
    _settings = tuple({"ef": ef} for ef in (20, 40, 60, 80, 100, 120, 150, 200, 250, 300, 400, 600, 900))

    def __init__(self) -> None:
        super().__init__(rabitqlib_engine.SymphonyQg())
