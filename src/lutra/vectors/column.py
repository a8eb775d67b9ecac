"""One vector field of an index: the vectors of the documents that have one, and the exact search among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.model.arrays import Matrix
from lutra.model.indexes import FieldSchema, VectorOptions
from lutra.model.values import Value
from lutra.vectors.part import RECALL_TARGET_DEFAULT, KnnCounters, Thorough
from lutra.vectors.values import read_vectors

Numbers = npt.NDArray[np.int32]

BLOCK_BYTES: Final = 32 * 1024 * 1024
"""A block grows by doubling up to this size; then the next one begins. So growth copies little and wastes little."""
_FIRST_ROWS: Final = 64


class _Block:
    """Vectors side by side, and the documents they belong to."""

    __slots__ = ("docs", "rows", "size")

    def __init__(self, capacity: int, dimension: int) -> None:
        self.rows: Matrix = np.empty((capacity, dimension), np.float32)
        self.docs: Numbers = np.empty(capacity, np.int32)
        self.size = 0

    def append(self, rows: Matrix, docs: Numbers, rows_max: int) -> int:
        """Takes as many of ``rows`` as there is room for, up to ``rows_max`` in all; returns how many."""
        end = min(self.size + len(rows), rows_max)
        if end > len(self.rows):
            grown = _Block(min(rows_max, max(end, 2 * len(self.rows))), self.rows.shape[1])
            grown.rows[: self.size] = self.rows[: self.size]
            grown.docs[: self.size] = self.docs[: self.size]
            self.rows, self.docs = grown.rows, grown.docs
        taken = end - self.size
        self.rows[self.size : end] = rows[:taken]
        self.docs[self.size : end] = docs[:taken]
        self.size = end
        return taken


@dataclass(frozen=True, slots=True)
class VectorView:
    """One vector field over the first ``size`` documents, unchanging.

    ``blocks`` are ``(float32[n, dimension], int32[n] documents)``, documents ascending. ``complete``: every document
    has a vector, so that a row's number over all blocks is its document's.
    """

    field: FieldSchema
    options: VectorOptions
    size: int
    rows: int
    blocks: tuple[tuple[Matrix, Numbers], ...]

    @property
    def complete(self) -> bool:
        return self.rows == self.size

    def come(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        mask: RowMask | None,
        *,
        num_candidates: int | None,
        recall_target: float,
        lasting: Sequence[RowMask],
    ) -> None:
        """Nothing: all is in memory."""

    def exists(self) -> Selection:
        """Documents with a vector."""
        return Selection(self.rows, self._present)

    def _present(self) -> RowMask:
        return RowMask.all(self.size) if self.complete else RowMask.of_rows(self.docs(), self.size)

    def docs(self) -> Numbers:
        """int32[rows]: the document of each vector."""
        return np.concatenate([docs for _, docs in self.blocks]) if self.blocks else np.empty(0, np.int32)

    def row_blocks(self) -> Iterator[Matrix]:
        """The vectors, block by block."""
        return (rows for rows, _ in self.blocks)

    def read(self, places: npt.NDArray[np.int64]) -> Matrix:
        """float32[n, dimension]: the vectors at these places of `docs`."""
        found = np.empty((len(places), self.options.dimension), np.float32)
        first = 0
        for rows, _ in self.blocks:
            here = (places >= first) & (places < first + len(rows))
            found[here] = rows[places[here] - first]
            first += len(rows)
        return found

    def basis(self) -> npt.NDArray[np.int16]:
        """None are known of what is in memory."""
        return np.empty((0, self.options.dimension), np.int16)

    def predicted(self, k: int, qualifying: int | None, num_candidates: int | None, recall_target: float) -> None:
        """Nothing: all are compared."""

    def near(self, query: Matrix, k: int, passing: float, us_max: float, recall_target: float) -> None:
        """All are compared."""

    def thorough(self, query: Matrix, k: int, mask: RowMask | None, bytes_max: int) -> Thorough:
        """As `topk`, which misses none."""
        docs, distances, _ = self.topk(query, k, mask)
        return Thorough(docs, distances, 0)

    def topk(
        self,
        query: Matrix,
        k: int,
        mask: RowMask | None = None,
        *,
        num_candidates: int | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        within: float = math.inf,
        lasting: Sequence[RowMask] = (),
    ) -> tuple[npt.NDArray[np.int64], Matrix, KnnCounters]:
        """The ``k`` documents nearest to ``query`` (float32[dimension]), exactly, whatever else is said.

        ``mask`` leaves only some in question. Returns documents and distances, int64[k'] and float32[k'],
        nearest first and equals by document; k' is less than ``k`` where fewer qualify. Distances as
        `lutra.kernels.distance` defines them.
        """
        queries = np.ascontiguousarray(query, np.float32).reshape(1, -1)
        return self.topk_many(queries, k, mask)[0]

    def topk_many(
        self,
        queries: Matrix,
        k: int,
        mask: RowMask | None = None,
        *,
        num_candidates: int | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        lasting: Sequence[RowMask] = (),
    ) -> list[tuple[npt.NDArray[np.int64], Matrix, KnnCounters]]:
        """`topk` of each of ``queries`` (float32[q, dimension], C-contiguous), shared out to threads."""
        counting_rows = self.count(mask)
        counters = KnnCounters("exact", counting_rows, compared=counting_rows)
        found: list[tuple[npt.NDArray[np.int64], Matrix]] = []
        first = 0
        counting = mask.bools() if mask is not None and self.complete else None
        for rows, docs in self.blocks:
            among = None
            if counting is not None:
                among = counting[first : first + len(rows)]
            elif mask is not None:
                among = mask.has(docs)
            first += len(rows)
            ids, distances = topk(queries, rows, k, self.options.metric, among)
            found.append((docs[ids].astype(np.int64), distances))
        if not found:
            return [(np.empty(0, np.int64), np.empty(0, np.float32), counters)] * len(queries)
        if len(found) == 1:
            return [(docs, distances, counters) for docs, distances in zip(*found[0], strict=True)]
        documents = np.concatenate([ids for ids, _ in found], axis=1)
        distances = np.concatenate([near for _, near in found], axis=1)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return [
            (docs[order], near[order], counters)
            for docs, near, order in zip(documents, distances, nearest, strict=True)
        ]

    def share(
        self,
        k: int,
        mask: RowMask | None,
        *,
        num_candidates: int | None,
        recall_target: float,
        lasting: Sequence[RowMask],
    ) -> None:
        """There is no segment to ask."""

    def count(self, mask: RowMask | None) -> int:
        """How many vectors ``topk`` looks at under ``mask``."""
        if mask is None:
            return self.rows
        if self.complete:
            return mask.count
        return (mask & self._present()).count


class VectorColumn:
    """Growable vectors of one field; one writer.

    Values are staged one by one, settled in bulk (the costly part) and published at once; only what is published is in
    a view. A value that is no finite vector of the field's dimension is left out.
    """

    def __init__(self, field: FieldSchema) -> None:
        assert field.vector is not None
        self.field = field
        self.options = field.vector
        self._rows_max = max(_FIRST_ROWS, BLOCK_BYTES // (4 * field.vector.dimension))
        self._blocks: list[_Block] = []
        self._staged_docs: list[int] = []
        self._staged_values: list[str | bytes] = []
        self._settled: tuple[Matrix, Numbers] | None = None

    def stage(self, doc: int, value: Value) -> bool:
        """Takes the value of ``doc``, later than all before it; False where it clearly is no vector of this field."""
        if type(value) is bytes:
            if len(value) != 4 * self.options.dimension:
                return False
        elif type(value) is not str:
            return False
        self._staged_docs.append(doc)
        self._staged_values.append(value)
        return True

    def settle(self) -> int:
        """Turns what is staged into arrays. Returns how many more values turned out to be no vectors of this field."""
        if not self._staged_docs:
            return 0
        rows, good = read_vectors(self._staged_values, self.options.dimension)
        docs = np.array(self._staged_docs, np.int32)
        self._staged_docs, self._staged_values = [], []
        bad = len(good) - int(np.count_nonzero(good))
        self._settled = (rows[good], docs[good]) if bad else (rows, docs)
        return bad

    def publish(self) -> None:
        """Makes what is settled part of the next view."""
        if self._settled is None:
            return
        rows, docs = self._settled
        self._settled = None
        self._append(rows, docs)

    def _append(self, rows: Matrix, docs: Numbers) -> None:
        while len(rows):
            if not self._blocks or self._blocks[-1].size == self._rows_max:
                self._blocks.append(_Block(_FIRST_ROWS, self.options.dimension))
            taken = self._blocks[-1].append(rows, docs, self._rows_max)
            rows, docs = rows[taken:], docs[taken:]

    def view(self, size: int) -> VectorView:
        """The column over the first ``size`` documents; all that is published must lie below."""
        blocks = tuple((block.rows[: block.size], block.docs[: block.size]) for block in self._blocks)
        return VectorView(self.field, self.options, size, sum(block.size for block in self._blocks), blocks)

    @property
    def size_bytes(self) -> int:
        """Memory beside what is known of each value: none."""
        return 0

    def compacted(self, renumber: Numbers) -> VectorColumn:
        """A new column without the documents whose new number in ``renumber`` is negative."""
        result = VectorColumn(self.field)
        for block in self._blocks:
            docs = renumber[block.docs[: block.size]]
            kept = docs >= 0
            result._append(block.rows[: block.size][kept], docs[kept])
        return result
