"""Pictures of `bench.gallery` in an index: parts of several kinds with deletions, or one built on again and again.

Searches go through `lutra.search`, over views of segments and a buffer; what compares all rows does so too, over the
same rows in flat segments.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from pyroaring import BitMap

from bench.searched import Ask, Asking, Found, Mask, Rows, Vectors
from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.view import Document, IndexView
from lutra.kernels.blocks import BlockCache
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.limits import SEARCH_LIMIT_MAX
from lutra.model.queries import KnnVector, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.search import search
from lutra.segments.build import build_segment
from lutra.segments.index_segment import IndexSegment
from lutra.segments.part import Part
from lutra.tables.keys import KeyCodec
from lutra.vectors.build_plan import BuildPlan, choose_code_bits
from lutra.vectors.layout import SegmentKind

_KEY: Final = (KeyColumn("row", ColumnType.INTEGER),)
_CODEC: Final = KeyCodec(b"", _KEY)
_FIELD: Final = "v"
_CACHE_BYTES: Final = 64 * 1024 * 1024
_REPLACED_EVERY: Final = 20
"""Of a mixture's segment of codes, one row in so many has been replaced since."""
_MIXTURE: Final = (
    (SegmentKind.GRAPH, 0.45),
    (SegmentKind.CODES, 0.3),
    (SegmentKind.CODES, 0.1),
    (SegmentKind.FLAT, 0.05),
)
"""Segments and their shares of the rows; the rest is in a buffer."""


class SearchedIndex:
    """An index's parts at one instant. A `Searched`."""

    def __init__(self, dimension: int, metric: Metric) -> None:
        """Empty: filled by `mixture` or `turned_over`."""
        self._dimension = dimension
        vector = VectorOptions(dimension, metric)
        self._schema = IndexSchema((FieldSchema(_FIELD, FieldType.VECTOR, vector=vector),))
        self._folder = tempfile.TemporaryDirectory(prefix="lutra-recall-")
        self._store = LocalStore(Path(self._folder.name) / "objects")
        self._cache = BlockCache(_CACHE_BYTES)
        self._closing = contextlib.ExitStack()
        self._names = (f"segment-{number}" for number in itertools.count())
        self._shown, self._flat = self._view_of([]), self._view_of([])

    @classmethod
    def mixture(cls, rows: Vectors, metric: Metric) -> SearchedIndex:
        """Segments of every kind, each with the rows that came one after the other, and a buffer of the newest."""
        made = cls(rows.shape[1], metric)
        numbers, stale = np.arange(len(rows)), np.random.default_rng(2).permutation(rows)
        parts: list[Part] = []
        flat: list[Part] = []
        begin, replaced = 0, np.empty(0, np.int64)
        for kind, share in _MIXTURE:
            own = numbers[begin : begin + int(share * len(rows))]
            begin += len(own)
            dead = own[::_REPLACED_EVERY] if kind is SegmentKind.CODES else own[:0]
            vectors = rows.copy()
            vectors[dead] = stale[dead]
            gone = BitMap((dead - own[0]).tolist())
            for there, of_kind in ((parts, kind), (flat, SegmentKind.FLAT)):
                there.append(made._opened(made._built([made._buffer(own, vectors)], of_kind), gone))
            replaced = np.append(replaced, dead)
        newest = made._buffer(np.append(numbers[begin:], replaced), rows)
        made._shown, made._flat = made._view_of([*parts, newest]), made._view_of([*flat, newest])
        return made

    @classmethod
    def turned_over(cls, generations: Sequence[Vectors], metric: Metric, kind: SegmentKind) -> SearchedIndex:
        """One segment of the first of ``generations``, then merged with the rows of each other one, half by half."""
        made = cls(generations[0].shape[1], metric)
        numbers, rng = np.arange(len(generations[0])), np.random.default_rng(3)
        name = made._built([made._buffer(numbers, generations[0])], kind)
        for rows in generations[1:]:
            for half in np.array_split(rng.permutation(numbers), 2):
                with made._opened(name, BitMap(half.tolist())) as before:
                    following = made._built([before, made._buffer(half, rows)], kind)
                made._store.delete(name)
                name = following
        flat = made._built([made._buffer(numbers, generations[-1])], SegmentKind.FLAT)
        made._shown, made._flat = (made._view_of([made._opened(one, BitMap())]) for one in (name, flat))
        return made

    def under(self, mask: Mask | None) -> Asking:
        shown, flat = self._shown, self._flat
        if mask is not None:
            shown, flat = (view.without(_left_out(view, mask)) for view in (shown, flat))
        return Asking(_ask_of(shown), _ask_of(flat))

    @property
    def measured(self) -> str:
        checked = [part.checked[_FIELD] for part in self._shown.parts if isinstance(part, IndexSegment)]
        return ", ".join(f"{recall:.3f} {fallback}" for recall, fallback, _ in checked if recall is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        self._cache.close()
        self._folder.cleanup()

    def _view_of(self, parts: Sequence[Part]) -> IndexView:
        return IndexView(self._schema, _KEY, tuple(parts), _CODEC)

    def _buffer(self, numbers: Rows, rows: Vectors) -> Part:
        """Of the rows of those numbers, which are their keys."""
        buffer = Buffer(self._schema, _KEY)
        made = [Row((("row", number),), [(_FIELD, rows[number].tobytes(), 1)]) for number in numbers.tolist()]
        buffer.stage([_CODEC.encode(row.key) for row in made], made, 0)
        buffer.publish()
        return buffer.view()

    def _built(self, inputs: Sequence[Part], kind: SegmentKind) -> str:
        """The name of a segment of the living rows of ``inputs``."""
        name, target = next(self._names), Path(self._folder.name) / "target"
        bits = choose_code_bits(self._dimension)
        build_segment(target, inputs, self._schema, plans={_FIELD: BuildPlan(kind, bits)})
        self._store.put_file(name, target)
        return name

    def _opened(self, name: str, dead: BitMap) -> IndexSegment:
        opened = IndexSegment.open(self._store, name, self._schema, cache=self._cache, deletions=dead)
        return self._closing.enter_context(opened)


def _left_out(view: IndexView, mask: Mask) -> list[Document]:
    """What of ``view`` does not count."""
    left_out: list[Document] = []
    for part in view.parts:
        numbers = _numbers_of(view, part.keys.taken(np.arange(part.size)))
        left_out += [(part, doc) for doc in np.flatnonzero(~mask[numbers]).tolist()]
    return left_out


def _numbers_of(view: IndexView, keys: Sequence[bytes]) -> Rows:
    return np.array([view.decode_key(key)[0][1] for key in keys], np.int64)


def _ask_of(view: IndexView) -> Ask:
    """Pages of as many hits as a search gives, the first one's tokens leading on."""

    def ask(query: Vectors, k: int) -> Found:
        request = SearchRequest(KnnVector(_FIELD, query, k), (ScoreSort(),), limit=min(k, SEARCH_LIMIT_MAX))
        first = answer = search(view, request)
        numbers = [hit.key[0][1] for hit in answer.hits]
        while len(numbers) < k and answer.next_token:
            answer = search(
                view, replace(request, limit=min(k - len(numbers), SEARCH_LIMIT_MAX), token=answer.next_token)
            )
            numbers += [hit.key[0][1] for hit in answer.hits]
        rows = np.full(k, -1, np.int64)
        rows[: len(numbers)] = numbers
        return Found(rows, first.stats.strategy, first.stats.distances, first.stats.bytes)

    return ask
