"""An append-only array whose earlier views never change."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_FIRST_CAPACITY = 64


class Growable:
    """A one-dimensional array that grows at its end.

    What was appended is never written again, and growth moves to a new allocation: a view taken earlier stays as it
    was, so readers need no lock. One writer at a time.
    """

    __slots__ = ("_data", "size")

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._data: npt.NDArray[Any] = np.empty(_FIRST_CAPACITY, dtype)
        self.size = 0

    def extend(self, values: npt.ArrayLike) -> None:
        """Appends ``values`` (1-D, cast to the array's dtype)."""
        added = np.asarray(values, self._data.dtype)
        end = self.size + len(added)
        if end > len(self._data):
            grown = np.empty(max(end, len(self._data) + len(self._data) // 2), self._data.dtype)
            grown[: self.size] = self._data[: self.size]
            self._data = grown
        self._data[self.size : end] = added
        self.size = end

    def view(self) -> npt.NDArray[Any]:
        """The elements so far, read-only, without a copy."""
        view = self._data[: self.size]
        view.flags.writeable = False
        return view
