"""The values of a field by document, as arrays: what aggregations, collapse and functions of scores read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lutra.model.arrays import Docs


class KeyStrings(Protocol):
    """Strings by number, that say which values are the same: a `lutra.scalars.strings_part.StringsPart`, or less."""

    @property
    def size(self) -> int: ...

    def taken(self, ids: npt.NDArray[Any], /) -> list[bytes]:
        """The strings ``ids``, in that order."""


@dataclass(frozen=True, slots=True)
class DocValues:
    """``values[i]`` belongs to document ``docs[i]`` (int32, ascending); ``docs`` None: to document ``i``.

    ``values`` are of the field's type in `lutra.scalars.values.DTYPES`; where there are ``strings``, integers of any
    size, each the number of one of these, whose order means nothing. ``is_single``: no document has two.

    Where a field has few distinct numbers, ``ordinals`` are those of each value in ``distinct``, which are ascending.
    """

    docs: Docs | None
    values: npt.NDArray[Any]
    is_single: bool
    strings: KeyStrings | None = None
    ordinals: npt.NDArray[Any] | None = None
    distinct: npt.NDArray[Any] | None = None

    def counts(self, size: int) -> npt.NDArray[np.int64]:
        """int64[size]: how many values each document has."""
        if self.docs is None:
            counts = np.zeros(size, np.int64)
            counts[: len(self.values)] = 1
            return counts
        return np.bincount(self.docs, minlength=size)
