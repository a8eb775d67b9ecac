"""The face that numbered strings in memory and in a segment share, for sorts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lutra.model.arrays import Docs, Mask


class StringSequence(Protocol):
    """Strings by number."""

    def __getitem__(self, index: int, /) -> bytes: ...


class StringsPart(Protocol):
    """Numbered byte strings that can be sorted by and compared with: the keys of documents, or a dictionary.

    ``words`` are arrays by number; comparing them one after the other compares the strings, but for ties where not
    ``exact``. Where they are ``ranked``, there are no words: comparing the numbers compares the strings.
    """

    @property
    def strings(self) -> StringSequence: ...

    @property
    def words(self) -> tuple[npt.NDArray[Any], ...]: ...

    @property
    def ranked(self) -> bool: ...

    @property
    def size(self) -> int: ...

    @property
    def exact(self) -> bool: ...

    def compare(self, value: bytes) -> tuple[Mask, Mask]:
        """``(greater, equal)``: bool[size] each, by byte order against ``value``."""

    def tie_ranks(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Ranks that order the strings ``ids``: for the few that agree in all words."""

    def taken(self, ids: npt.NDArray[Any]) -> list[bytes]:
        """The strings ``ids``, in that order."""


class DictionaryPart(StringsPart, Protocol):
    """The distinct strings of a column."""

    def with_another(self, value: bytes) -> StringsPart:
        """These strings and one more, which gets the number ``size``."""


StringTest = Callable[[list[bytes]], Mask]
"""Says of each string whether it passes."""


@dataclass(frozen=True, slots=True)
class Ordinals:
    """The values of a field of strings: ``values[i]``, a number of ``strings``, is of document ``docs[i]``.

    ``docs`` are ascending, None where they are 0, 1, 2, …
    """

    docs: Docs | None
    values: npt.NDArray[Any]
    strings: DictionaryPart
