"""A search index at one instant: its parts, which are searched each by itself and merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import FieldPart, Fields
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import IndexSchema
from lutra.model.rows import PrimaryKey
from lutra.model.schema import KeyColumn
from lutra.scalars.part import StringsPart
from lutra.scalars.strings import StringsView
from lutra.segments.kept_masks import KeptMasks
from lutra.segments.part import Part
from lutra.tables.keys import KeyCodec

Document = tuple[Part, int]
"""A part of a view, and the number of a document in it."""


@dataclass(frozen=True, slots=True)
class PartView:
    """A buffer at one instant: documents in the order in which they came. A `Part`.

    ``newest`` and ``oldest`` (int64[size]) are timestamps of each document in ms, as `newest_ms` and `oldest_ms` of
    a `Part`. ``size_bytes`` is about what it takes in memory.
    """

    size: int
    size_bytes: int
    rows: int
    live: RowMask
    keys: StringsView
    newest: npt.NDArray[np.int64]
    oldest: npt.NDArray[np.int64]
    fields: Mapping[str, FieldPart]

    @property
    def name(self) -> str:
        return ""

    @property
    def kept(self) -> None:
        """Nothing: it is a part of one moment."""

    @property
    def in_key_order(self) -> bool:
        return False

    @property
    def is_far(self) -> bool:
        return False

    def newest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its row's cells."""
        return self.newest

    def oldest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the oldest timestamp of the cells its values are of."""
        return self.oldest

    def since(self, oldest_ms: int) -> PartView:
        """The same without what is older."""
        live = self.live & RowMask(self.newest >= oldest_ms)
        return replace(self, live=live, rows=live.count)


@dataclass(frozen=True, slots=True)
class IndexView:
    """An index at one instant, unchanging. Its parts, buffers and segments, stay readable while the view is kept.

    There is at least one of ``parts``; their order means nothing, and the next view may have others in another order.
    """

    schema: IndexSchema
    key_columns: tuple[KeyColumn, ...]
    parts: tuple[Part, ...]
    codec: KeyCodec
    """Of the primary key."""

    def decode_key(self, key: bytes) -> PrimaryKey:
        """The key of a document, as parts have it. Raises Corruption."""
        return self.codec.decode(key)

    @property
    def rows(self) -> int:
        """Live documents of all parts."""
        return sum(part.rows for part in self.parts)

    def without(self, documents: Iterable[Document]) -> IndexView:
        """The same, but for these documents of it, which are known to be gone."""
        gone: dict[int, list[int]] = {}
        for part, doc in documents:
            gone.setdefault(id(part), []).append(doc)
        parts = (_without(part, gone[id(part)]) if id(part) in gone else part for part in self.parts)
        return replace(self, parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class _NarrowedPart:
    """A part of which fewer documents are live. A `Part`."""

    part: Part
    rows: int
    live: RowMask

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def size(self) -> int:
        return self.part.size

    @property
    def size_bytes(self) -> int:
        """Of the whole part."""
        return self.part.size_bytes

    @property
    def kept(self) -> KeptMasks | None:
        return self.part.kept

    @property
    def keys(self) -> StringsPart:
        return self.part.keys

    @property
    def in_key_order(self) -> bool:
        return self.part.in_key_order

    @property
    def is_far(self) -> bool:
        return self.part.is_far

    @property
    def fields(self) -> Fields:
        return self.part.fields

    def newest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its row's cells."""
        return self.part.newest_ms()

    def oldest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the oldest timestamp of the cells its values are of."""
        return self.part.oldest_ms()


def _without(part: Part, docs: list[int]) -> _NarrowedPart:
    live = part.live.minus(np.array(docs, np.int64))
    return _NarrowedPart(part.part if isinstance(part, _NarrowedPart) else part, live.count, live)
