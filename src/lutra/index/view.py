"""A search index at one instant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lutra.model.clock import Clock
from lutra.model.indexes import IndexSchema
from lutra.model.rows import PrimaryKey
from lutra.model.schema import KeyColumn
from lutra.scalars.column import ScalarView
from lutra.scalars.strings import Mask, StringsView
from lutra.vectors.column import VectorView


@dataclass(frozen=True, slots=True)
class IndexView:
    """Documents 0 to ``size`` - 1, unchanging; those that ``live`` (bool[size]) leaves out are deleted or expired.

    ``rows`` counts the live ones. ``keys`` are the encoded primary keys by document, in whose byte order rows sort.
    """

    schema: IndexSchema
    key_columns: tuple[KeyColumn, ...]
    size: int
    rows: int
    live: Mask
    keys: StringsView
    scalars: Mapping[str, ScalarView]
    vectors: Mapping[str, VectorView]
    decode_key: Callable[[bytes], PrimaryKey]
    clock: Clock

    def key(self, doc: int) -> PrimaryKey:
        """The primary key of a document."""
        return self.decode_key(self.keys.strings[doc])
