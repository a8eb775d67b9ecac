"""Byte strings that numpy can compare.

Each string's first 64 bytes are kept beside it as big-endian 64-bit words, one array per word. Comparing words compares
the strings, so ranges, prefixes and orders over a million strings are a few passes over arrays; only strings that agree
in all their words are compared in Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lutra.model.arrays import Mask
from lutra.model.growable import Growable

WORD_BYTES: Final = 8
WORDS_MAX: Final = 8
"""64 bytes: more than most keys and keywords have, and no more memory than the strings themselves take."""

Words = npt.NDArray[np.uint64]


def _split(value: bytes, words: int) -> list[int]:
    """The first ``words`` words of ``value``, padded with NUL."""
    padded = value[: words * WORD_BYTES].ljust(words * WORD_BYTES, b"\0")
    return [int.from_bytes(padded[i : i + WORD_BYTES], "big") for i in range(0, len(padded), WORD_BYTES)]


@dataclass(frozen=True, slots=True)
class StringsView:
    """The first ``size`` strings, unchanging.

    ``exact``: strings that agree in all words are equal. Otherwise such ties are settled on the strings themselves.
    """

    strings: list[bytes]
    words: tuple[Words, ...]
    size: int
    exact: bool
    ranked: ClassVar[bool] = False

    def compare(self, value: bytes) -> tuple[Mask, Mask]:
        """``(greater, equal)``: masks over the strings, by byte order against ``value``."""
        greater = np.zeros(self.size, bool)
        equal = np.ones(self.size, bool)
        for words, target in zip(self.words, _split(value, len(self.words)), strict=True):
            bound = np.uint64(target)
            greater |= equal & (words > bound)
            equal &= words == bound
        if not self.exact or len(value) > len(self.words) * WORD_BYTES or value.endswith(b"\0"):
            for i in np.flatnonzero(equal).tolist():
                string = self.strings[i]
                if string != value:
                    equal[i] = False
                    greater[i] = string > value
        return greater, equal

    def starts_with(self, prefix: bytes) -> Mask:
        """Mask of the strings that start with ``prefix``."""
        mask = np.ones(self.size, bool)
        if not prefix:
            return mask
        covered = len(self.words) * WORD_BYTES
        if len(prefix) > covered and len(self.words) < WORDS_MAX:
            return np.zeros(self.size, bool)  # the words hold the longest string whole, and the prefix is longer
        for i, target in enumerate(_split(prefix, len(self.words))):
            rest = len(prefix) - i * WORD_BYTES
            if rest <= 0:
                break
            free = np.uint64(8 * max(0, WORD_BYTES - rest))
            mask &= (self.words[i] >> free) == (np.uint64(target) >> free)
        if len(prefix) > covered or b"\0" in prefix:  # beyond the words, or not told apart from their padding
            for i in np.flatnonzero(mask).tolist():
                mask[i] = self.strings[i].startswith(prefix)
        return mask

    def tie_ranks(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Ranks that order the strings ``ids``: for the few that agree in all words."""
        strings = self.taken(ids)
        rank = {string: place for place, string in enumerate(sorted(set(strings)))}
        return np.fromiter((rank[string] for string in strings), np.int64, len(strings))

    def taken(self, ids: npt.NDArray[Any]) -> list[bytes]:
        """The strings ``ids``, in that order."""
        return [self.strings[i] for i in ids.tolist()]

    def with_another(self, value: bytes) -> StringsView:
        """These strings and one more, which gets the number ``size``."""
        words = tuple(
            np.append(words, np.uint64(target))
            for words, target in zip(self.words, _split(value, len(self.words)), strict=True)
        )
        exact = self.exact and len(value) <= len(self.words) * WORD_BYTES and not value.endswith(b"\0")
        return StringsView([*self.strings[: self.size], value], words, self.size + 1, exact)

    def order(self) -> npt.NDArray[np.int64]:
        """The ids in ascending order of their strings."""
        if not self.exact:
            return np.array(sorted(range(self.size), key=self.strings.__getitem__), np.int64)
        if not self.words:
            return np.arange(self.size)
        return np.lexsort(self.words[::-1])


class Strings:
    """Growable byte strings; one writer.

    ``prefix_free``: no string is another one followed by NULs, as with encoded keys, so that padding cannot hide a
    difference.
    """

    def __init__(self, prefix_free: bool = False) -> None:
        self._strings: list[bytes] = []
        self._words: list[Growable] = []
        self._prefix_free = prefix_free
        self._exact = True

    def __len__(self) -> int:
        return len(self._strings)

    def __getitem__(self, index: int) -> bytes:
        return self._strings[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._strings)

    def extend(self, strings: Sequence[bytes]) -> None:
        if not self._prefix_free and self._exact and any(s.endswith(b"\0") for s in strings):
            self._exact = False
        self._append(strings)

    def _append(self, strings: Sequence[bytes]) -> None:
        longest = max(map(len, strings), default=0)
        needed = min(WORDS_MAX, -(-longest // WORD_BYTES))
        while len(self._words) < needed:
            word = Growable(np.uint64)
            word.extend(np.zeros(len(self._strings), np.uint64))  # what came before is shorter: all padding
            self._words.append(word)
        self._exact = self._exact and longest <= WORDS_MAX * WORD_BYTES
        if self._words and strings:
            width = len(self._words) * WORD_BYTES
            block = np.array(strings, f"S{width}").view(">u8").reshape(-1, len(self._words))
            for i, word in enumerate(self._words):
                word.extend(block[:, i])
        self._strings.extend(strings)

    def view(self) -> StringsView:
        return StringsView(self._strings, tuple(word.view() for word in self._words), len(self._strings), self._exact)

    def kept(self, ids: npt.NDArray[Any]) -> Strings:
        """A new one with only the strings ``ids``, in that order."""
        result = Strings(self._prefix_free)
        result._exact = self._exact
        result._append([self._strings[i] for i in ids.tolist()])
        return result
