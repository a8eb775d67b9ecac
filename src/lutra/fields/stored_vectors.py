"""One vector field of a segment: a `lutra.vectors.part.VectorPart` over a vector segment."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.fields.turned_masks import TurnedMasks
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Share, Strategy
from lutra.kernels.selection import Selection
from lutra.model.arrays import Docs
from lutra.model.deadline import current_deadline
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema, VectorOptions
from lutra.vectors.calibration import Checked
from lutra.vectors.layout import SegmentKind
from lutra.vectors.near_rows import Wanted
from lutra.vectors.part import RECALL_TARGET_DEFAULT, KnnCounters, Near, Predicted, Thorough
from lutra.vectors.residency import Residency, bytes_beside_cache, choose_residency, least_bytes
from lutra.vectors.segment import Segment
from lutra.vectors.segment_file import SegmentFile

SWEPT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Codes that there is no memory for are read for a search where they are no more: a segment of few rows has no graph to
walk, and to compare all its vectors reads some 20 times as much."""
_SWEPT_PART: Final = 2
"""They are where vectors of the rows in question are so many times as large at least."""
_sweeping = threading.BoundedSemaphore(2)
"""Of a process: each sweep takes `SWEPT_BYTES_MAX` of memory at most for its moment."""


class SegmentVectors:
    """Rows of the vector segment belong to documents by ``docs`` (int32[rows]). Thread-safe."""

    def __init__(self, field: FieldSchema, size: int, docs: Docs, segment: Segment) -> None:
        """Raises Corruption where ``docs`` are not documents 0 to ``size`` - 1, each once, one for each row."""
        assert field.vector is not None
        self.field = field
        self.options: VectorOptions = field.vector
        self.size = size
        self._docs = docs
        self._segment = segment
        self.searches = 0
        """How often it was searched: about, as threads count side by side."""
        # Whether the document of each row has its number: then masks need no turning.
        self._aligned = len(docs) == size and bool(np.array_equal(docs, np.arange(size)))
        self._turned = TurnedMasks(docs, size)
        has = self._present_or_raise()
        if len(docs) != segment.rows or has.count != len(docs):
            raise Corruption(f"{segment.file.name}: its vectors do not belong to a document each.")

    def _present_or_raise(self) -> RowMask:
        """Documents with a vector; raises Corruption where there are other documents than 0 to ``size`` - 1."""
        if len(self._docs) and not 0 <= int(self._docs.min()) <= int(self._docs.max()) < self.size:
            raise Corruption(f"{self._segment.file.name}: a vector belongs to none of {self.size} documents.")
        return self._present()

    def close(self) -> None:
        self._segment.close()

    def read_ahead(self, bytes_max: int) -> None:
        """Has vectors of no more than ``bytes_max`` read into the cache, by another thread. Returns at once."""
        nodes = self._segment.searcher.nodes
        if nodes.size_bytes <= bytes_max:
            nodes.prefetch(range(nodes.block_count))

    @property
    def file(self) -> SegmentFile:
        """For builds."""
        return self._segment.file

    @property
    def segment(self) -> Segment:
        """For measurements and checks."""
        return self._segment

    @property
    def resident_bytes(self) -> int:
        """In memory: codes, graph, and whose rows they are."""
        return self._segment.resident_bytes + self._docs.nbytes + self._turned.size_bytes

    @property
    def wanted_bytes(self) -> int:
        """That all codes and the graph would take."""
        best = choose_residency(self.file, None)
        return bytes_beside_cache(self.file, best)

    @property
    def least_bytes(self) -> int:
        """As `lutra.vectors.residency.least_bytes` says."""
        return least_bytes(self.file)

    def resize(self, budget_bytes: int | None, sweepers: Executor | None = None) -> bool:
        """Keeps what of codes and graph fits ``budget_bytes`` (None: all); whether that is other than before.

        One thread at a time. Searches under way end with what they began with. Raises as
        `lutra.vectors.segment.Segment.open`; then nothing has changed.
        """
        before = self._segment
        self._segment = before.at(choose_residency(self.file, budget_bytes, has_cache=True), sweepers)
        return self._segment is not before

    @property
    def is_coming(self) -> bool:
        """Whether codes are read as searches need them (`lutra.vectors.residency.Residency`)."""
        return self._segment.residency.is_coming

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
        if not self.is_coming or not len(self._docs):
            return
        rows = None if mask is None else self._rows_of(mask, lasting)
        self._segment.come(np.ascontiguousarray(queries, np.float32), k, rows, num_candidates, recall_target)

    def exists(self) -> Selection:
        return Selection(len(self._docs), self._present)

    def _present(self) -> RowMask:
        return RowMask.all(self.size) if self._aligned else RowMask.of_rows(self._docs, self.size)

    def count(self, mask: RowMask | None) -> int:
        return len(self._docs) if mask is None else (mask & self._present()).count

    def docs(self) -> Docs:
        return self._docs

    def row_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        return self._segment.file.vector_blocks()

    def read(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return self._segment.read(places)

    def basis(self) -> npt.NDArray[np.int16]:
        return self._segment.file.load_basis().reshape(-1, self.options.dimension)

    def predicted(
        self, k: int, qualifying: int | None, num_candidates: int | None, recall_target: float
    ) -> Predicted | None:
        if not len(self._docs):
            return None
        return self._segment.predicted(k, qualifying, num_candidates, recall_target)

    def near(
        self, query: npt.NDArray[np.float32], k: int, passing: float, us_max: float, recall_target: float
    ) -> Near | None:
        if not len(self._docs):
            return None
        wanted = Wanted(k, passing, recall_target, us_max)
        found = self._segment.near_rows(np.ascontiguousarray(query, np.float32).reshape(1, -1), wanted)
        if found is None:
            return None
        docs = found.rows if self._aligned else np.sort(self._docs[found.rows].astype(np.int64))
        return Near(docs, found.distances)

    def thorough(self, query: npt.NDArray[np.float32], k: int, mask: RowMask | None, bytes_max: int) -> Thorough | None:
        if not len(self._docs):
            return Thorough(np.empty(0, np.int64), np.empty(0, np.float32), 0)
        found = self._segment.thorough(query, k, None if mask is None else self._rows_of(mask, ()), bytes_max)
        if found is None:
            return None
        return Thorough(*self._of_documents(found.ids[0], found.distances[0]), int(found.counters.bytes[0]))

    def _of_documents(
        self, rows: npt.NDArray[np.int64], distances: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Documents and distances, equals by document, of what a search finds."""
        rows, distances = rows[rows >= 0], distances[rows >= 0]
        docs = self._docs[rows].astype(np.int64)
        order = np.lexsort((docs, distances))
        return docs[order], distances[order]

    def topk(
        self,
        query: npt.NDArray[np.float32],
        k: int,
        mask: RowMask | None = None,
        *,
        num_candidates: int | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        within: float = math.inf,
        lasting: Sequence[RowMask] = (),
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], KnnCounters]:
        """As `VectorPart` says.

        Of documents at the same distance as the last one, any may be returned. Raises ParameterInvalid as
        `lutra.vectors.segment.Segment.search`.
        """
        if not len(self._docs):
            return np.empty(0, np.int64), np.empty(0, np.float32), KnnCounters("brute_force", 0)
        rows = None if mask is None else self._rows_of(mask, lasting)
        with self._with_codes(rows) as (segment, swept_bytes):
            return self._asked(
                segment,
                swept_bytes,
                query,
                k,
                rows,
                num_candidates=num_candidates,
                recall_target=recall_target,
                within=within,
            )

    def _asked(
        self,
        segment: Segment,
        swept_bytes: int,
        query: npt.NDArray[np.float32],
        k: int,
        rows: RowMask | None,
        *,
        num_candidates: int | None,
        recall_target: float,
        within: float = math.inf,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], KnnCounters]:
        """What `topk` gives, by ``segment``, for which so much was read."""
        self.searches += 1
        found = segment.search(
            np.ascontiguousarray(query, np.float32).reshape(1, -1),
            k,
            mask=rows,
            recall_target=recall_target,
            num_candidates=num_candidates,
            within=within,
            threads=1,
        )
        took = found.counters
        counters = KnnCounters(
            Strategy(int(took.used[0])).name.lower(),
            int(took.distances[0]),
            int(took.hops[0]),
            int(took.reads[0]),
            int(took.bytes[0]) + swept_bytes,
            *segment.checked,
            compared=int(took.exact[0]),
            planned=Strategy(int(took.planned[0])).name.lower(),
        )
        return *self._of_documents(found.ids[0], found.distances[0]), counters

    def topk_many(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        mask: RowMask | None = None,
        *,
        num_candidates: int | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        lasting: Sequence[RowMask] = (),
    ) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], KnnCounters]]:
        """One after the other: many at once are asked by `share`."""
        if not len(self._docs):
            return [self.topk(query, k) for query in queries]
        rows = None if mask is None else self._rows_of(mask, lasting)
        with self._with_codes(rows) as (segment, swept_bytes):
            asked = partial(self._asked, num_candidates=num_candidates, recall_target=recall_target)
            return [asked(segment, swept_bytes // len(queries), query, k, rows) for query in queries]

    @contextmanager
    def _with_codes(self, rows: RowMask | None) -> Iterator[tuple[Segment, int]]:
        """What to search among ``rows``: where there is no memory for codes, and they are little beside the vectors,
        with codes that are read for the moment; and how much is. Raises RequestTimeout, StorageFailure, Corruption."""
        if not self._is_swept(rows):
            yield self._segment, 0
            return
        if not _sweeping.acquire(timeout=min(current_deadline().left_s, threading.TIMEOUT_MAX)):
            raise current_deadline().error()
        try:
            codes = Residency(self.file.codes, False)
            yield self._segment.at(codes), bytes_beside_cache(self.file, codes)
        finally:
            _sweeping.release()

    def _is_swept(self, rows: RowMask | None) -> bool:
        file = self.file
        if file.kind is not SegmentKind.CODES or self._segment.residency.codes is not None:
            return False
        swept_bytes = bytes_beside_cache(file, Residency(file.codes, False))
        count = file.rows if rows is None else rows.count
        return swept_bytes <= min(SWEPT_BYTES_MAX, 4 * file.dimension * count // _SWEPT_PART)

    def share(
        self,
        k: int,
        mask: RowMask | None,
        *,
        num_candidates: int | None,
        recall_target: float,
        lasting: Sequence[RowMask],
    ) -> tuple[Share, Checked] | None:
        if not len(self._docs):
            return None
        rows = None if mask is None else self._rows_of(mask, lasting)
        if rows is not None and rows.count == len(self._docs):
            rows = None  # a filter that all pass is none
        if self._is_swept(rows):
            return None  # it is asked apart, by `topk_many`: memory for codes of one at a time there is
        self.searches += 1
        segment = self._segment
        return segment.share(self._docs, k, rows, num_candidates, recall_target), segment.checked

    def _rows_of(self, mask: RowMask, lasting: Sequence[RowMask]) -> RowMask:
        """The mask of rows, of one of documents."""
        return mask if self._aligned else self._turned.of(mask, lasting)
