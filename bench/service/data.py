"""The rows, the queries and their true neighbours; made once, kept in a folder, gone on with where a run broke off."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from bench import vector_table
from bench.ann import data
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric

Vectors = npt.NDArray[np.float32]
Truth = npt.NDArray[np.int64]
K: Final = 10
SHARES: Final = (1.0, 0.01)
"""Of the rows, which a search is among."""
_TRUTH_QUERIES: Final = 50


@dataclass(frozen=True, slots=True)
class DataSet:
    """``base`` float32[n, d] (mapped), ``queries`` float32[q, d], ``truth`` by share: row numbers int64[q, K]."""

    folder: Path
    base: Vectors
    queries: Vectors
    truth: dict[float, Truth]

    @property
    def queries_path(self) -> Path:
        """For processes that read them by themselves."""
        return self.folder / "queries.npy"

    def blocks(self, rows: int) -> Iterator[tuple[int, Vectors]]:
        """``(first number, rows)`` of the base, so many at a time."""
        for begin in range(0, len(self.base), rows):
            yield begin, np.asarray(self.base[begin : begin + rows])


def prepare(folder: Path, rows: int, dimension: int, queries: int, progress: Progress) -> DataSet:
    """Makes what ``folder`` lacks of it. Exits where the folder keeps other data."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"rows": rows, "dim": dimension, "queries": queries}
    note = folder / "data.json"
    kept = note.read_text().strip() if note.exists() else ""
    if any(folder.iterdir()) and (not kept or json.loads(kept) != about):
        sys.exit(f"bench.service: {folder} keeps other data {kept}; name another folder")
    note.write_text(json.dumps(about))
    block = data.gistlike(dimension)
    if not (folder / "base.npy").exists():
        _write_base(folder, block, rows, dimension, progress)
    base = np.load(folder / "base.npy", mmap_mode="r")
    if not (folder / "queries.npy").exists():
        _save(folder / "queries.npy", data.queries(block, rows, queries))
    asked = np.load(folder / "queries.npy")
    truth = {}
    for share in SHARES:
        path = folder / f"truth-{share:g}.npy"
        if not path.exists():
            _save(path, _nearest(base, asked, share, progress))
        truth[share] = np.load(path)
    return DataSet(folder, base, asked, truth)


def recall(found: list[tuple[int, list[int]]], truth: Truth) -> float:
    """Of ``(query, row numbers)``: the share of the true neighbours that are among them. NaN of nothing."""
    hits = [len(set(truth[query].tolist()) & set(numbers)) for query, numbers in found]
    return float(np.mean(hits)) / truth.shape[1] if hits else float("nan")


def _write_base(folder: Path, block: data.Block, rows: int, dimension: int, progress: Progress) -> None:
    part, count = folder / "base.part.npy", folder / "base.part.rows"
    done = int(count.read_text()) if count.exists() and part.exists() else 0
    if done:
        base = np.load(part, mmap_mode="r+")
    else:
        base = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(rows, dimension))
    task = progress.add_task("rows are made", total=rows, completed=done)
    for made in data.blocks(block, rows - done, done):
        base[done : done + len(made)] = made
        base.flush()
        done += len(made)
        count.write_text(str(done))
        progress.update(task, completed=done)
    part.rename(folder / "base.npy")
    count.unlink()


def _nearest(base: Vectors, queries: Vectors, share: float, progress: Progress) -> Truth:
    numbers = np.arange(len(base))
    among = numbers[numbers % vector_table.NUMBERS < round(share * vector_table.NUMBERS)]
    rows = base if share >= 1 else np.ascontiguousarray(base[among])
    task = progress.add_task(f"true neighbours among {100 * share:g} %", total=len(queries))
    found = []
    for begin in range(0, len(queries), _TRUTH_QUERIES):
        nearest, _ = topk(queries[begin : begin + _TRUTH_QUERIES], rows, K, Metric.EUCLIDEAN)
        found.append(among[nearest])
        progress.update(task, advance=len(nearest))
    return np.concatenate(found)


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part.npy")
    np.save(part, array)
    part.rename(path)
