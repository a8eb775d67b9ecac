"""A search index at one instant: its parts, which are searched each by itself and merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lutra.model.clock import Clock
from lutra.model.indexes import IndexSchema
from lutra.model.rows import PrimaryKey
from lutra.model.schema import KeyColumn
from lutra.scalars.column import ScalarView
from lutra.scalars.strings import Mask, StringsView
from lutra.vectors.column import VectorView
from lutra.vectors.part import VectorPart


class Part(Protocol):
    """Documents 0 to ``size`` - 1, unchanging; those that ``live`` (bool[size]) leaves out are deleted or expired.

    ``rows`` counts the live ones. ``keys`` are the encoded primary keys by document, in whose byte order rows sort. No
    key is live in two parts of one view.
    """

    @property
    def size(self) -> int: ...

    @property
    def rows(self) -> int: ...

    @property
    def live(self) -> Mask: ...

    @property
    def keys(self) -> StringsView: ...

    @property
    def scalars(self) -> Mapping[str, ScalarView]: ...

    @property
    def vectors(self) -> Mapping[str, VectorPart]: ...


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

    def newest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its cells."""
        return self.newest


@dataclass(frozen=True, slots=True)
class IndexView:
    """An index at one instant, unchanging. Its parts, buffers and segments, stay readable while the view is kept.

    The order of ``parts`` means nothing, and the next view may have others in another order.
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
