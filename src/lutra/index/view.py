"""A search index at one instant: its parts, which are searched each by itself and merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lutra.model.clock import Clock
from lutra.model.indexes import IndexSchema
from lutra.model.rows import PrimaryKey
from lutra.model.schema import KeyColumn
from lutra.scalars.column import ScalarView
from lutra.scalars.strings import Mask, StringsView
from lutra.segments.part import Part
from lutra.vectors.column import VectorView


@dataclass(frozen=True, slots=True)
class PartView:
    """A buffer at one instant: documents in the order in which they came. A `Part`.

    ``newest`` (int64[size]) is the newest timestamp of each document's cells, in ms.
    """

    size: int
    rows: int
    live: Mask
    keys: StringsView
    newest: npt.NDArray[np.int64]
    scalars: Mapping[str, ScalarView]
    vectors: Mapping[str, VectorView]

    @property
    def in_key_order(self) -> bool:
        return False

    def newest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its cells."""
        return self.newest

    def since(self, oldest_ms: int) -> PartView:
        """The same without what is older."""
        live = self.live & (self.newest >= oldest_ms)
        return replace(self, live=live, rows=int(np.count_nonzero(live)))


@dataclass(frozen=True, slots=True)
class IndexView:
    """An index at one instant, unchanging. Its parts, buffers and segments, stay readable while the view is kept.

    There is at least one of ``parts``; their order means nothing, and the next view may have others in another order.
    """

    schema: IndexSchema
    key_columns: tuple[KeyColumn, ...]
    parts: tuple[Part, ...]
    decode_key: Callable[[bytes], PrimaryKey]
    clock: Clock

    @property
    def rows(self) -> int:
        """Live documents of all parts."""
        return sum(part.rows for part in self.parts)
