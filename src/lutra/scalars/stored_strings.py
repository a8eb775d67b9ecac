"""Sorted strings in a segment with the face of `lutra.scalars.strings.StringsView`, for sorts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.model.arrays import Mask
from lutra.scalars.string_blocks import StringBlocks


class StoredStrings:
    """Strings whose numbers are their ranks: a `lutra.scalars.strings_part.DictionaryPart` that compares numbers alone.

    ``strings`` gives them by number.
    """

    exact = True
    ranked = True
    words: tuple[npt.NDArray[Any], ...] = ()

    def __init__(self, strings: StringBlocks) -> None:
        self.strings = strings
        self.size = len(strings)

    def compare(self, value: bytes) -> tuple[Mask, Mask]:
        """``(greater, equal)``: bool[size] each, by byte order against ``value``."""
        rank, found = self.strings.rank(value)
        greater, equal = np.zeros(self.size, bool), np.zeros(self.size, bool)
        greater[rank + found :] = True
        equal[rank : rank + found] = True
        return greater, equal

    def with_another(self, value: bytes) -> ExtendedStrings:
        """These strings and one more, which gets the number ``size``."""
        return ExtendedStrings(self, value)

    def tie_ranks(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Their ranks: the numbers themselves."""
        return ids.astype(np.int64)

    def taken(self, ids: npt.NDArray[Any]) -> list[bytes]:
        """The strings ``ids``, in that order."""
        return self.strings.take(ids)


class ExtendedStrings:
    """Stored strings and one more, which may be equal to one of them: what stands in for missing values sorts by it."""

    exact = True
    ranked = False

    def __init__(self, stored: StoredStrings, value: bytes) -> None:
        self._stored = stored
        self._value = value
        self.size = stored.size + 1
        rank, found = stored.strings.rank(value)
        # Even numbers are taken by the stored strings; what lies between two of them is odd.
        own = 2 * rank if found else 2 * rank - 1
        self.words = (np.append(np.arange(stored.size, dtype=np.int64) * 2, own),)

    @property
    def strings(self) -> ExtendedStrings:
        return self

    def __getitem__(self, index: int, /) -> bytes:
        return self._value if index == self.size - 1 else self._stored.strings[index]

    def compare(self, value: bytes) -> tuple[Mask, Mask]:
        """``(greater, equal)``: bool[size] each, by byte order against ``value``."""
        greater, equal = self._stored.compare(value)
        return np.append(greater, self._value > value), np.append(equal, self._value == value)

    def tie_ranks(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Their ranks."""
        ranks: npt.NDArray[np.int64] = self.words[0][ids]
        return ranks

    def taken(self, ids: npt.NDArray[Any]) -> list[bytes]:
        """The strings ``ids``, in that order."""
        return [self[i] for i in ids.tolist()]
