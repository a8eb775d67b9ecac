"""The rows, their filter columns, the queries and the true neighbours; made once and kept in a folder.

Rows are ``number`` 0, 1, …; ``n`` is the number modulo 1,000, by chance; ``near`` is, from 0 to 999, how many
thousandths of all rows lie nearer to one row, the first: neighbours in space share it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.ann import data, files
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

K: Final = 10
NUMBERS: Final = 1_000
BATCH_ROWS: Final = 200
GENERATORS: Final = {"gistlike": data.gistlike, "hard": data.hard, "clustered": data.clustered, "uniform": data.uniform}
_BLOCK_ROWS: Final = 8_192
_TRUTH_QUERIES: Final = 50
_LID_NEIGHBOURS: Final = 100
_WRITTEN_ROWS: Final = 100_000
"""As many rows at most are there for a writer."""


@dataclass(frozen=True, slots=True)
class Among:
    """The rows that a search is among: those whose ``column`` is below ``below``; all without a column."""

    name: str
    column: str = ""
    below: int = NUMBERS

    @property
    def share(self) -> float:
        return self.below / NUMBERS


ALL: Final = Among("all")
FILTERS: Final = tuple(
    Among(f"{kind} {below / 10:g} %", column, below)
    for kind, column in (("chance", "n"), ("correlated", "near"))
    for below in (100, 10, 1)
)


@dataclass(frozen=True, slots=True)
class DataSet:
    """``base`` float32 [n, d] (mapped), ``near`` int64 [n], ``queries`` float32 [q, d]; ``truth`` by `Among.name`.

    ``truth``: int64 [q, K], -1 where fewer rows count. ``tenth``: float32 [q], squared distance of the last, of all.
    """

    folder: Path
    title: str
    is_unit: bool
    """All rows have length 1, so that the order by cosine is that by distance."""
    base: Vectors
    near: Numbers
    queries: Vectors
    written: Vectors
    """For a writer: more rows of the same kind."""
    truth: dict[str, Numbers]
    tenth: Vectors

    @property
    def queries_path(self) -> Path:
        return self.folder / "queries.npy"

    def blocks(self, rows: int = BATCH_ROWS) -> Iterator[tuple[int, Vectors, Numbers]]:
        """``(first number, rows, near)``, so many at a time."""
        for begin in range(0, len(self.base), rows):
            yield begin, np.asarray(self.base[begin : begin + rows]), self.near[begin : begin + rows]

    def recall(self, found: list[tuple[int, list[int]]], among: Among) -> float:
        """The share of the true neighbours that were found. NaN of no query.

        A row that was written since counts where it is not farther than the last of the true ones.
        """
        truth, shares = self.truth[among.name], []
        for query, numbers in found:
            wanted = set(truth[query].tolist()) - {-1}
            if wanted:
                new = [one - len(self.base) for one in set(numbers) if one >= len(self.base)]
                closer = ((self.written[new] - self.queries[query]) ** 2).sum(axis=1) <= self.tenth[query]
                hits = len(wanted.intersection(numbers)) + int(closer.sum())
                shares.append(min(1.0, hits / len(wanted)))
        return float(np.mean(shares)) if shares else float("nan")


def prepare(
    folder: Path, rows: int, dimension: int, queries: int, generator: str, file: Path | None, is_unit: bool
) -> DataSet:
    """Makes them, or opens those that the folder has. Exits where it has others."""
    folder.mkdir(parents=True, exist_ok=True)
    of = {"rows": rows, "dim": dimension, "queries": queries, "generator": generator, "file": str(file or "")}
    of["unit"] = is_unit
    note = folder / "data.json"
    if not note.exists():
        if any(folder.iterdir()):
            sys.exit(f"bench.peers: {folder} is not empty and has no data of this benchmark; name another folder")
        title, is_unit = _make(folder, rows, dimension, queries, generator, file, is_unit)
        note.write_text(json.dumps({"of": of, "title": title, "unit": is_unit}))
    kept = json.loads(note.read_text())
    if kept["of"] != of:
        sys.exit(f"bench.peers: {folder} has other data ({kept['title']}); name another folder")
    return open_data(folder)


def open_data(folder: Path) -> DataSet:
    """What `prepare` has made there."""
    kept = json.loads((folder / "data.json").read_text())
    arrays: dict[str, Any] = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r" if name == "base" else None)
        for name in ("base", "near", "queries", "written", "tenth")
    }
    truth = {among.name: np.load(_truth_path(folder, among)) for among in (ALL, *FILTERS)}
    return DataSet(folder=folder, title=kept["title"], is_unit=kept["unit"], truth=truth, **arrays)


def _make(
    folder: Path, rows: int, dimension: int, queries: int, generator: str, file: Path | None, is_unit: bool
) -> tuple[str, bool]:
    if file is None:
        base, asked, written = _generated(folder, rows, dimension, queries, generator)
        title, is_unit = f"{generator} {len(base):,} × {dimension}, seed 0, unit length", True
    else:
        base, asked, written, is_unit = _of_file(folder, file, rows, queries, is_unit)
        title = f"{file.name}, {len(base):,} × {base.shape[1]}" + (", unit length" if is_unit else "")
    np.save(folder / "queries.npy", asked)
    np.save(folder / "written.npy", written)
    distances = np.concatenate([((block - base[0]) ** 2).sum(axis=1) for block in _parts(base)])
    near = np.empty(len(base), np.int64)
    near[np.argsort(distances, kind="stable")] = np.arange(len(base)) * NUMBERS // len(base)
    np.save(folder / "near.npy", near)
    columns = {"": np.zeros(len(base)), "n": np.arange(len(base)) % NUMBERS, "near": near}
    for among in (ALL, *FILTERS):
        numbers = np.flatnonzero(columns[among.column] < among.below)
        np.save(_truth_path(folder, among), _nearest(base, asked, numbers, K))
    most = _nearest(base, asked[:200], np.arange(len(base)), min(_LID_NEIGHBOURS, len(base)))
    np.save(folder / "tenth.npy", _squared(base, asked, np.load(_truth_path(folder, ALL)))[:, -1])
    return f"{title}, intrinsic dimension {_intrinsic(_squared(base, asked[:200], most)):.0f}", is_unit


def _generated(
    folder: Path, rows: int, dimension: int, queries: int, generator: str
) -> tuple[Vectors, Vectors, Vectors]:
    block = GENERATORS[generator](dimension)
    base = np.lib.format.open_memmap(folder / "base.npy", mode="w+", dtype=np.float32, shape=(rows, dimension))
    at = 0
    for made in data.blocks(block, rows):
        base[at : at + len(made)] = _unit(made)
        at += len(made)
    base.flush()
    written = data.queries(block, rows + 2 * _BLOCK_ROWS, min(_WRITTEN_ROWS, max(_BLOCK_ROWS, rows)))
    return base, _unit(data.queries(block, rows, min(queries, _BLOCK_ROWS))), _unit(written)


def _of_file(
    folder: Path, file: Path, rows: int, queries: int, is_unit: bool
) -> tuple[Vectors, Vectors, Vectors, bool]:
    vectors, asked = files.read_vectors(file, "train"), files.read_vectors(file, "test")[:queries]
    is_unit = is_unit or "angular" in file.name
    if is_unit:
        vectors, asked = _unit(vectors), _unit(asked)
    # What a writer adds is not among the rows that are loaded.
    kept = min(rows, len(vectors) * 19 // 20)
    np.save(folder / "base.npy", vectors[:kept])
    return np.load(folder / "base.npy", mmap_mode="r"), asked, vectors[kept : kept + _WRITTEN_ROWS], is_unit


def _nearest(base: Vectors, queries: Vectors, numbers: Numbers, k: int) -> Numbers:
    """int64 [q, k]: of those ``numbers``; -1 where there are fewer."""
    rows = base if len(numbers) == len(base) else np.ascontiguousarray(base[numbers])
    found = np.full((len(queries), k), -1, np.int64)
    for begin in range(0, len(queries), _TRUTH_QUERIES):
        nearest, _ = topk(queries[begin : begin + _TRUTH_QUERIES], rows, k, Metric.EUCLIDEAN)
        found[begin : begin + len(nearest), : nearest.shape[1]] = numbers[nearest]
    return found


def _squared(base: Vectors, queries: Vectors, numbers: Numbers) -> Vectors:
    """float32 [q, k]: squared distances of the rows of ``numbers`` [q, k]."""
    lines = [((base[own] - query) ** 2).sum(axis=1) for own, query in zip(numbers, queries, strict=True)]
    return np.stack(lines)


def _intrinsic(squared: Vectors) -> float:
    """Local intrinsic dimensionality by maximum likelihood (Amsaleg et al., KDD'15): the median over queries."""
    distances = np.sqrt(np.maximum(squared.astype(np.float64), 1e-30))
    return float(np.median(-1 / np.log(distances[:, :-1] / distances[:, -1:]).mean(axis=1)))


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, np.float32(1e-30))
    return unit


def _parts(base: Vectors) -> Iterator[Vectors]:
    for begin in range(0, len(base), _BLOCK_ROWS):
        yield base[begin : begin + _BLOCK_ROWS]


def _truth_path(folder: Path, among: Among) -> Path:
    return folder / f"truth-{among.name.replace(' ', '-').replace('%', 'percent')}.npy"
