"""Whether the segments of an index have the rows of its table, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.fields.kinds import kind_of
from lutra.index.check.digests import Digester
from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.view import PartView
from lutra.kernels.row_mask import RowMask
from lutra.model.arrays import Digests
from lutra.model.indexes import IndexSchema
from lutra.model.names import shown
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.scalars.bloom import hashes_of
from lutra.segments.index_segment import IndexSegment
from lutra.segments.times import UNKNOWN_MS
from lutra.tables.keys import KeyCodec

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row, by its encoded key, that is not in the index as it is in the table."""

    key: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What has expired at the instant of a check, in ms; None: nothing."""

    values_ms: int | None = None
    """Values written before that are not in the table any more, and their document is to be read again."""
    rows_ms: int | None = None
    """Rows last written before that are not to be found in the index."""
    filled_ms: int | None = None
    """Rows last written before that may be missing until the index is filled anew."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is compared of a segment: 25 bytes a document."""

    segment: IndexSegment
    digests: Digests
    newest_ms: npt.NDArray[np.int64]
    oldest_ms: npt.NDArray[np.int64]
    seen: npt.NDArray[np.bool_]


class RowCheck:
    """Compares rows of the table, chunk by chunk, with all segments of an index."""

    def __init__(
        self,
        segments: Sequence[IndexSegment],
        schema: IndexSchema,
        key_columns: tuple[KeyColumn, ...],
        bounds: Bounds,
    ) -> None:
        """Reads all values of the segments, in the order they lie in.

        Raises Corruption, StorageFailure, and what numpy raises where what is stored makes no sense: IndexError,
        ValueError.
        """
        self._schema = schema
        self._key_columns = key_columns
        self._bounds = bounds
        self._codec = KeyCodec(b"", key_columns)
        self.is_brief = False
        """Whether to spare the names of fields that differ, which take a read each: for counting."""
        self._digester = Digester()
        self._known = [
            _Known(one, self._digester.digests(one), one.newest_ms(), one.oldest_ms(), np.zeros(one.size, bool))
            for one in segments
        ]

    @property
    def outdated(self) -> int:
        """Documents that are to be read again when the index is next served, as a value of theirs has expired."""
        values_ms, rows_ms = self._bounds.values_ms, self._bounds.rows_ms
        if values_ms is None or rows_ms is None:
            return 0
        masks = ((one.oldest_ms < values_ms) & (one.newest_ms >= rows_ms) for one in self._known)
        return sum((one.segment.live & RowMask(of)).count for of, one in zip(masks, self._known, strict=True))

    def differences(self, rows: Sequence[Row]) -> Iterator[RowDifference]:
        """Of some rows of the table, which come no second time: with the cells that have expired."""
        keys = [self._codec.encode(row.key) for row in rows]
        missing = np.ones(len(rows), bool)
        hashes = hashes_of(keys)
        for known in self._known:
            found = known.segment.keys.find(keys, hashes)
            places = np.flatnonzero(found >= 0)
            places = places[known.segment.live.has(found[places])]
            docs = found[places]
            missing[places] = False
            known.seen[docs] = True
            yield from self._compared(known, docs, *_taken(places, keys, rows))
        for place in np.flatnonzero(missing).tolist():
            if self._is_due(rows[place]):
                yield RowDifference(keys[place], "is in the table, but not in the index")

    def _is_due(self, row: Row) -> bool:
        """Whether a row that has no document should have one."""
        newest_ms = max((cell[2] for cell in row.cells), default=row.written_ms or 0)
        bounds = (self._bounds.rows_ms, self._bounds.filled_ms)
        return all(bound_ms is None or newest_ms >= bound_ms for bound_ms in bounds)

    def _compared(
        self, known: _Known, docs: Places, keys: Sequence[bytes], rows: Sequence[Row]
    ) -> Iterator[RowDifference]:
        """``rows`` with their documents.

        A document was made of the cells that had not expired at the time, so of all that are not older than its oldest.
        Where that is not known, it is read again as soon as anything expires, and compared where nothing does.
        """
        oldest_ms, newest_ms = known.oldest_ms[docs], known.newest_ms[docs]
        made_of = [_since(row, bound_ms) for row, bound_ms in zip(rows, oldest_ms.tolist(), strict=True)]
        buffer = Buffer(self._schema, self._key_columns)
        buffer.stage(list(keys), made_of, 0)
        buffer.publish()
        expected = buffer.view()
        is_known = oldest_ms != UNKNOWN_MS
        is_bare = np.fromiter((not row.cells for row in rows), bool, len(rows))
        is_other_time = (expected.newest_ms() != newest_ms) & (is_known | ~is_bare)
        is_other = is_other_time | (self._digester.digests(expected) != known.digests[docs])
        is_other |= (expected.oldest_ms() != oldest_ms) & is_known
        if self._bounds.values_ms is not None:
            is_other &= is_known
        for at in np.flatnonzero(is_other).tolist():
            doc = int(docs[at])
            text = f"is otherwise in {known.segment.name} than in the table"
            if not self.is_brief:
                fields = self._different(expected, at, known.segment, doc)
                if is_other_time[at]:
                    fields.append("the time of its last change")
                text = f"{text}: {', '.join(fields) or 'the time of its oldest value'}"
            yield RowDifference(keys[at], text)

    def left_over(self) -> Iterator[RowDifference]:
        """What the index has and no row that ``differences`` was given."""
        for known in self._known:
            left = known.segment.live - RowMask(known.seen)
            if self._bounds.rows_ms is not None:
                left = left & RowMask(known.newest_ms >= self._bounds.rows_ms)
            for doc in left.ids().tolist():
                yield RowDifference(known.segment.keys.key(doc), "is in the index, but not in the table")

    def _different(self, expected: PartView, place: int, segment: IndexSegment, doc: int) -> list[str]:
        """The fields whose values differ: of both exactly, read one by one."""
        return [
            f"[{shown(name)}]"
            for name, field in expected.fields.items()
            if not kind_of(field.field).is_same(field, place, segment.fields[name], doc)
        ]


def _taken(places: Places, keys: Sequence[bytes], rows: Sequence[Row]) -> tuple[list[bytes], list[Row]]:
    chosen = places.tolist()
    return [keys[at] for at in chosen], [rows[at] for at in chosen]


def _since(row: Row, oldest_ms: int) -> Row:
    """``row`` without what is older."""
    return Row(row.key, [cell for cell in row.cells if cell[2] >= oldest_ms], row.written_ms)
