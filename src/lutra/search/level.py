"""What a sort goes by within one part of an index: the face of a level, and the arrays of keys it consists of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.scalars.strings_part import StringsPart
from lutra.search.mark import Mark
from lutra.search.scores import Docs

SAMPLE_SIZE: Final = 2_048


class Keys(Protocol):
    """One array of keys: smaller comes first."""

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        """The keys of ``docs``; None means all documents."""


class FoundKeys(ABC):
    """Keys of which the smallest are found without looking at all."""

    __slots__ = ()

    @abstractmethod
    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        """As `Keys` says."""

    @abstractmethod
    def split(self, mask: RowMask, bound: Any) -> tuple[RowMask, RowMask]:
        """The documents of ``mask`` whose keys are less than ``bound``, and those whose keys equal it."""


@dataclass(frozen=True, slots=True)
class ArrayKeys:
    """``values[doc]``, or ``values[ids[doc]]`` where there are ``ids``; turned round where ``descending``."""

    values: npt.NDArray[Any]
    descending: bool
    ids: npt.NDArray[Any] | None = None

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        if self.ids is not None:
            taken: npt.NDArray[Any] = self.values[self.ids if docs is None else self.ids[docs]]
        else:
            taken = self.values if docs is None else self.values[docs]
        if self.descending:
            taken = -taken if taken.dtype.kind == "f" else ~taken
        return taken


@dataclass(frozen=True, slots=True)
class RankKeys:
    """Strings whose numbers are their ranks: the number of each document, or ``ids[doc]``."""

    size: int
    descending: bool
    ids: npt.NDArray[Any] | None = None

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        if self.ids is not None:
            taken: npt.NDArray[Any] = self.ids if docs is None else self.ids[docs]
        else:
            taken = np.arange(self.size) if docs is None else docs
        return ~taken if self.descending else taken


@dataclass(frozen=True, slots=True)
class AbsenceKeys:
    """Documents without a value come after the others, or before them."""

    present: RowMask
    absent_first: bool

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        has = self.present.bools() if docs is None else self.present.has(docs)
        return has if self.absent_first else ~has


@dataclass(frozen=True, slots=True)
class TieKeys:
    """Orders documents whose strings agree in all their words: by the strings themselves, in Python."""

    strings: StringsPart
    descending: bool
    ids: npt.NDArray[Any] | None = None

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        chosen = docs
        if self.ids is not None:
            chosen = self.ids if docs is None else self.ids[docs]
        ranks = self.strings.tie_ranks(np.arange(self.strings.size) if chosen is None else chosen)
        return -ranks if self.descending else ranks

    def narrowed(self, docs: Docs, count: int) -> Docs:
        """``docs`` without most of those that are not among the first ``count``: by a sample, as `_first_of_many`."""
        ids = docs if self.ids is None else self.ids[docs]
        strings = self.strings.taken(ids)
        sample = sorted(strings[:: len(strings) // SAMPLE_SIZE], reverse=self.descending)
        if count >= len(sample):
            return docs
        bound = sample[count - 1]
        kept = [s >= bound for s in strings] if self.descending else [s <= bound for s in strings]
        narrowed: Docs = docs[np.array(kept)]
        return narrowed


class Level(Protocol):
    """One level of a sort over the documents of a part."""

    @property
    def descending(self) -> bool: ...

    def arrays(self) -> Sequence[Keys]: ...

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        """The documents after ``mark``, and of those at it; `Ordering.fits` has passed it."""

    def marks(self, docs: Docs) -> list[Mark]:
        """Where ``docs`` stand."""


def string_keys(strings: StringsPart, descending: bool, ids: npt.NDArray[Any] | None) -> Sequence[Keys]:
    """Of documents that have the strings ``ids[doc]``; of the document's own number where ``ids`` is None."""
    if not strings.size:
        return ()
    if strings.ranked:
        return (RankKeys(strings.size, descending, ids),)
    words = tuple(ArrayKeys(word, descending, ids) for word in strings.words)
    return words if strings.exact else (*words, TieKeys(strings, descending, ids))
