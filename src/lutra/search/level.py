"""What a sort goes by, level by level (score, field, primary key), within one part of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lutra.model.queries import FieldSort, PrimaryKeySort, ScoreSort, Sorter, SortMode
from lutra.scalars.sorting import SortKeys
from lutra.scalars.strings import Mask
from lutra.scalars.strings_part import DictionaryPart, StringsPart
from lutra.search.mark import Mark
from lutra.search.scores import FewScores, Scores, scores_of
from lutra.segments.part import Part

Docs = npt.NDArray[np.int64]
SAMPLE_SIZE: Final = 2_048


class Keys(Protocol):
    """One array of keys: smaller comes first."""

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        """The keys of ``docs``; None means all documents."""


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
class ScoreKeys:
    """Scores of few documents."""

    scores: FewScores
    descending: bool
    size: int

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        taken = self.scores.all(self.size) if docs is None else self.scores.take(docs)
        return -taken if self.descending else taken


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

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        """Masks of the documents after ``mark``, and of those at it; `lutra.search.mark.check_marks` has passed it."""

    def marks(self, docs: Docs) -> list[Mark]:
        """Where ``docs`` stand."""


@dataclass(frozen=True, slots=True)
class ScoreLevel:
    scores: Scores
    descending: bool
    size: int

    def arrays(self) -> Sequence[Keys]:
        if isinstance(self.scores, float):
            return ()
        if isinstance(self.scores, FewScores):
            return (ScoreKeys(self.scores, self.descending, self.size),)
        return (ArrayKeys(self.scores, self.descending),)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        assert isinstance(mark, float)
        scores = self.scores
        if isinstance(scores, float):
            scores = np.full(self.size, scores)
        elif isinstance(scores, FewScores):
            scores = scores.all(self.size)
        return (scores < mark if self.descending else scores > mark), scores == mark

    def marks(self, docs: Docs) -> list[Mark]:
        return [*scores_of(self.scores, docs)]


@dataclass(frozen=True, slots=True)
class NumberLevel:
    """A field of numbers, dates or booleans; documents without it come last."""

    values: npt.NDArray[Any]
    present: Mask | None
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        own = ArrayKeys(self.values, self.descending)
        return (own,) if self.present is None else (ArrayKeys(~self.present, False), own)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        present = np.ones(len(self.values), bool) if self.present is None else self.present
        if mark is None:
            return np.zeros(len(self.values), bool), ~present
        assert isinstance(mark, int | float)
        beyond = self.values < mark if self.descending else self.values > mark
        return (present & beyond) | ~present, present & (self.values == mark)

    def marks(self, docs: Docs) -> list[Mark]:
        marks: list[Mark] = self.values[docs].tolist()
        return marks if self.present is None else _where(self.present[docs], marks)


@dataclass(frozen=True, slots=True)
class StringLevel:
    """A KEYWORD field: ``ordinals[doc]`` is a number in ``strings``; documents without it come last."""

    strings: StringsPart
    ordinals: npt.NDArray[Any]
    present: Mask | None
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        own = _string_keys(self.strings, self.descending, self.ordinals)
        return own if self.present is None else (ArrayKeys(~self.present, False), *own)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        present = np.ones(len(self.ordinals), bool) if self.present is None else self.present
        if mark is None:
            return np.zeros(len(self.ordinals), bool), ~present
        assert isinstance(mark, str)
        if not self.strings.size:
            return ~present, np.zeros(len(self.ordinals), bool)
        greater, equal = self.strings.compare(mark.encode())
        beyond = ~(greater | equal) if self.descending else greater
        return (present & beyond[self.ordinals]) | ~present, present & equal[self.ordinals]

    def marks(self, docs: Docs) -> list[Mark]:
        if not self.strings.size:
            return [None] * len(docs)
        marks: list[Mark] = [string.decode() for string in self.strings.taken(self.ordinals[docs])]
        return marks if self.present is None else _where(self.present[docs], marks)


@dataclass(frozen=True, slots=True)
class KeyLevel:
    """The primary key."""

    strings: StringsPart
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        return _string_keys(self.strings, self.descending, None)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        assert isinstance(mark, bytes)
        greater, equal = self.strings.compare(mark)
        return (~(greater | equal) if self.descending else greater), equal

    def marks(self, docs: Docs) -> list[Mark]:
        return [*self.strings.taken(docs)]


def _where(present: Mask, marks: list[Mark]) -> list[Mark]:
    return [mark if there else None for mark, there in zip(marks, present.tolist(), strict=True)]


def _string_keys(strings: StringsPart, descending: bool, ids: npt.NDArray[Any] | None) -> Sequence[Keys]:
    if not strings.size:
        return ()
    if strings.ranked:
        return (RankKeys(strings.size, descending, ids),)
    words = tuple(ArrayKeys(word, descending, ids) for word in strings.words)
    return words if strings.exact else (*words, TieKeys(strings, descending, ids))


def levels_of(part: Part, sort: Sequence[Sorter], scores: Scores) -> list[Level]:
    """The levels of a settled sort (`lutra.search.mark.settled`).

    Raises ParameterInvalid for a ``missing`` or a mode that does not fit its field.
    """
    return [_level(part, sorter, scores) for sorter in sort]


def _level(part: Part, sorter: Sorter, scores: Scores) -> Level:
    if isinstance(sorter, PrimaryKeySort):
        return KeyLevel(part.keys, sorter.descending)
    if isinstance(sorter, ScoreSort):
        return ScoreLevel(scores, sorter.descending, part.size)
    return _field_level(part, sorter)


def _field_level(part: Part, sorter: FieldSort) -> Level:
    column = part.scalars[sorter.field]
    mode = sorter.mode
    if mode is None:
        mode = SortMode.MAX if sorter.descending else SortMode.MIN
    keys = column.sort_keys(mode)
    missing = None if sorter.missing is None else column.reader.stand_in(sorter.missing)
    if keys.strings is not None:
        assert missing is None or isinstance(missing, str)
        return _string_level(keys, keys.strings, missing, sorter.descending)
    if missing is None or keys.present is None:
        return NumberLevel(keys.values, keys.present, sorter.descending)
    return NumberLevel(np.where(keys.present, keys.values, missing), None, sorter.descending)


def _string_level(keys: SortKeys, strings: DictionaryPart, missing: str | None, descending: bool) -> Level:
    if missing is None or keys.present is None:
        return StringLevel(strings, keys.values, keys.present, descending)
    filled = np.where(keys.present, keys.values.astype(np.int64, copy=False), strings.size)
    return StringLevel(strings.with_another(missing.encode()), filled, None, descending)
