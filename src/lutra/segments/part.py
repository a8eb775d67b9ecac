"""A part of a search index, as searches, builds and the index itself see it: a buffer in memory, or a segment."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import Fields
from lutra.kernels.row_mask import RowMask
from lutra.scalars.part import StringsPart
from lutra.segments.kept_masks import KeptMasks

Timestamps = npt.NDArray[np.int64]


class Part(Protocol):
    """Documents 0 to ``size`` - 1, unchanging; those that ``live`` leaves out are deleted or expired. Thread-safe.

    Over all parts of one index at one instant at most one live document has a given key.
    """

    @property
    def name(self) -> str:
        """Of a segment's object; empty where there is none."""

    @property
    def size(self) -> int: ...

    @property
    def size_bytes(self) -> int:
        """Of a segment's object, or about what a buffer takes in memory."""

    @property
    def rows(self) -> int:
        """How many are live."""

    @property
    def live(self) -> RowMask: ...

    @property
    def kept(self) -> KeptMasks | None:
        """What filters matched lately; None where nothing of the kind is kept."""

    @property
    def keys(self) -> StringsPart:
        """Encoded primary keys by document, in whose byte order rows sort."""

    @property
    def in_key_order(self) -> bool:
        """Whether documents are numbered in the order of their keys, as a segment's are."""

    @property
    def is_far(self) -> bool:
        """Whether each read of it waits for a store far away."""

    @property
    def fields(self) -> Fields:
        """By name; what can be asked of each: `lutra.fields.capabilities`."""

    def newest_ms(self) -> Timestamps:
        """int64[size], by document: the newest timestamp of its row's cells."""

    def oldest_ms(self) -> Timestamps:
        """int64[size], by document: the oldest timestamp of the cells its values are of; the newest where it has none.

        `lutra.segments.times.UNKNOWN_MS` where it is not known.
        """
