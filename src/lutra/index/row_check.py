"""Whether the segments of an index have the rows of its table, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.index.buffer import Buffer
from lutra.index.digests import Digester, Digests
from lutra.index.view import PartView
from lutra.model.indexes import IndexSchema
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.scalars.bloom import hashes_of
from lutra.segments.index_segment import IndexSegment
from lutra.segments.vectors import SegmentVectors
from lutra.tables.keys import KeyCodec
from lutra.vectors.column import VectorView

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row, by its encoded key, that is not in the index as it is in the table."""

    key: bytes
    text: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What is compared of a segment: 17 bytes a document."""

    segment: IndexSegment
    digests: Digests
    newest_ms: npt.NDArray[np.int64]
    seen: npt.NDArray[np.bool_]


class RowCheck:
    """Compares rows of the table, chunk by chunk, with all segments of an index."""

    def __init__(
        self,
        segments: Sequence[IndexSegment],
        schema: IndexSchema,
        key_columns: tuple[KeyColumn, ...],
        oldest_ms: int | None,
    ) -> None:
        """Reads all values of the segments, in the order they lie in.

        ``oldest_ms``: what is older may have expired in one place and not yet in the other. Raises Corruption,
        StorageFailure, and what numpy raises where what is stored makes no sense: IndexError, ValueError.
        """
        self._schema = schema
        self._key_columns = key_columns
        self._oldest_ms = oldest_ms
        self._codec = KeyCodec(b"", key_columns)
        self.is_brief = False
        """Whether to spare the names of fields that differ, which take a read each: for counting."""
        self._digester = Digester()
        self._known = [
            _Known(one, self._digester.digests(one), one.newest_ms(), np.zeros(one.size, bool)) for one in segments
        ]

    def differences(self, rows: Sequence[Row]) -> Iterator[RowDifference]:
        """Of some rows of the table, which come no second time."""
        keys = [self._codec.encode(row.key) for row in rows]
        buffer = Buffer(self._schema, self._key_columns)
        buffer.stage(keys, rows, 0)
        buffer.publish()
        expected = buffer.view()
        digests, newest_ms = self._digester.digests(expected), expected.newest_ms()
        missing = np.ones(len(rows), bool)
        hashes = hashes_of(keys)
        for known in self._known:
            found = known.segment.keys.find(keys, hashes)
            places = np.flatnonzero((found >= 0) & known.segment.live[found])
            docs = found[places]
            missing[places] = False
            known.seen[docs] = True
            # A row without cells has a time that only the table knows: staged as 0.
            other_time = (newest_ms[places] != 0) & (newest_ms[places] != known.newest_ms[docs])
            for at in np.flatnonzero(other_time | (digests[places] != known.digests[docs])).tolist():
                place, doc = int(places[at]), int(docs[at])
                if self.is_brief and self._oldest_ms is None:
                    yield RowDifference(keys[place], f"is otherwise in {known.segment.name} than in the table")
                    continue
                fields = self._different(expected, place, known.segment, doc)
                if other_time[at] and self._oldest_ms is None:
                    fields.append("the time of its last change")
                if fields:
                    text = f"is otherwise in {known.segment.name} than in the table: {', '.join(fields)}"
                    yield RowDifference(keys[place], text)
        if self._oldest_ms is not None:
            missing &= newest_ms >= self._oldest_ms
        for place in np.flatnonzero(missing).tolist():
            yield RowDifference(keys[place], "is in the table, but not in the index")

    def left_over(self) -> Iterator[RowDifference]:
        """What the index has and no row that ``differences`` was given."""
        for known in self._known:
            left = known.segment.live & ~known.seen
            if self._oldest_ms is not None:
                left &= known.newest_ms >= self._oldest_ms
            for doc in np.flatnonzero(left).tolist():
                yield RowDifference(known.segment.keys.key(doc), "is in the index, but not in the table")

    def _different(self, expected: PartView, place: int, segment: IndexSegment, doc: int) -> list[str]:
        """The fields whose values differ: of both exactly, read one by one."""
        fields = []
        for name, column in expected.scalars.items():
            ours, theirs = column.value(place), segment.scalars[name].value(doc)
            if not _equal(ours, theirs) and not self._may_have_expired(ours):
                fields.append(f"[{name}]")
        for name, vectors in expected.vectors.items():
            vector, stored = _vector(vectors, place), _stored_vector(segment.vectors[name], doc)
            same = vector is None if stored is None else vector is not None and np.array_equal(vector, stored)
            if not same and not self._may_have_expired(vector):
                fields.append(f"[{name}]")
        return fields

    def _may_have_expired(self, value: object) -> bool:
        """A value that a row has no more stays in the index until the row is written again."""
        return value is None and self._oldest_ms is not None


def _equal(left: object, right: object) -> bool:
    """Also where both are NaN, or lists of it; the order in a list means nothing."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, sorted(left), sorted(right)))
    return bool(left == right or (left != left and right != right))


def _vector(vectors: VectorView, doc: int) -> npt.NDArray[np.float32] | None:
    """float32[dimension]; None where the document has none."""
    for rows, docs in vectors.blocks:
        for place in np.flatnonzero(docs == doc).tolist():
            row: npt.NDArray[np.float32] = rows[place]
            return row
    return None


def _stored_vector(vectors: SegmentVectors, doc: int) -> npt.NDArray[np.float32] | None:
    rows = np.flatnonzero(vectors.docs() == doc)
    return vectors.file.read_vectors(rows)[0] if len(rows) else None
