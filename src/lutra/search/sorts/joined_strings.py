"""Strings of several dictionaries as if of one: rows that lack a field sort as another of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.model.arrays import Mask
from lutra.scalars.strings import Strings
from lutra.scalars.strings_part import StringSequence, StringsPart


def one_string(value: bytes) -> StringsPart:
    """One string by itself."""
    strings = Strings()
    strings.extend([value])
    return strings.view()


class JoinedStrings:
    """The strings of each of ``parts``, numbered one after the other; a `StringsPart`. Some may be equal.

    What orders each of them says nothing of the others, so they are compared as they are, those that a sort comes to.
    """

    ranked = False
    exact = False
    words: tuple[npt.NDArray[Any], ...] = ()

    def __init__(self, parts: Sequence[StringsPart]) -> None:
        self._parts = [part for part in parts if part.size]
        self._ends = np.cumsum([part.size for part in self._parts], dtype=np.int64)
        self.size = int(self._ends[-1]) if self._parts else 0

    @property
    def strings(self) -> StringSequence:
        return self

    def __getitem__(self, index: int, /) -> bytes:
        return self.taken(np.array([index]))[0]

    def compare(self, value: bytes) -> tuple[Mask, Mask]:
        """As `StringsPart` says."""
        masks = [part.compare(value) for part in self._parts]
        return np.concatenate([greater for greater, _ in masks]), np.concatenate([equal for _, equal in masks])

    def tie_ranks(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """As `StringsPart` says."""
        strings = self.taken(ids)
        rank = {string: place for place, string in enumerate(sorted(set(strings)))}
        return np.fromiter((rank[string] for string in strings), np.int64, len(strings))

    def taken(self, ids: npt.NDArray[Any]) -> list[bytes]:
        """As `StringsPart` says."""
        result = [b""] * len(ids)
        owners = self._ends.searchsorted(ids, "right")
        for number, part in enumerate(self._parts):
            places = np.flatnonzero(owners == number)
            begin = int(self._ends[number]) - part.size
            for place, string in zip(places.tolist(), part.taken(ids[places] - begin), strict=True):
                result[place] = string
        return result
