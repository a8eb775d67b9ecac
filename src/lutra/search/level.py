"""What a sort goes by, level by level (score, field, primary key), within one part of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import filterable
from lutra.kernels.row_mask import RowMask
from lutra.model.queries import FieldSort, PrimaryKeySort, ScoreSort, Sorter, SortMode
from lutra.scalars.sorting import SortKeys
from lutra.scalars.strings_part import DictionaryPart, StringsPart
from lutra.search.mark import Mark
from lutra.search.scores import Docs, DocScores, Scores, scores_of
from lutra.segments.part import Part

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
    """Scores, of documents that have one."""

    scores: DocScores
    descending: bool

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        assert docs is not None  # who has scores has a list of his documents
        taken = self.scores.take(docs)
        return -taken if self.descending else taken


@dataclass(frozen=True, slots=True)
class AbsenceKeys:
    """Documents without a value come after the others."""

    present: RowMask

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        return ~(self.present.bools() if docs is None else self.present.has(docs))


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
        """The documents after ``mark``, and of those at it; `lutra.search.mark.check_marks` has passed it."""

    def marks(self, docs: Docs) -> list[Mark]:
        """Where ``docs`` stand."""


@dataclass(frozen=True, slots=True)
class ScoreLevel:
    scores: Scores
    descending: bool
    size: int

    def arrays(self) -> Sequence[Keys]:
        return () if isinstance(self.scores, float) else (ScoreKeys(self.scores, self.descending),)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        assert isinstance(mark, float)
        scores, size = self.scores, self.size
        if isinstance(scores, float):
            is_beyond = scores < mark if self.descending else scores > mark
            return _all_or_none(is_beyond, size), _all_or_none(scores == mark, size)
        beyond = scores.values < mark if self.descending else scores.values > mark
        equal = scores.values == mark
        return RowMask.of_rows(scores.docs[beyond], size), RowMask.of_rows(scores.docs[equal], size)

    def marks(self, docs: Docs) -> list[Mark]:
        return [*scores_of(self.scores, docs)]


@dataclass(frozen=True, slots=True)
class NumberLevel:
    """A field of numbers, dates or booleans; documents without it come last."""

    values: npt.NDArray[Any]
    present: RowMask | None
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        own = ArrayKeys(self.values, self.descending)
        return (own,) if self.present is None else (AbsenceKeys(self.present), own)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        size = len(self.values)
        if mark is None:
            return RowMask.none(size), _absent(self.present, size)
        assert isinstance(mark, int | float)
        beyond = self.values < mark if self.descending else self.values > mark
        return _with_absent(self.present, RowMask(beyond), RowMask(self.values == mark))

    def marks(self, docs: Docs) -> list[Mark]:
        marks: list[Mark] = self.values[docs].tolist()
        return marks if self.present is None else _where(self.present.has(docs), marks)


@dataclass(frozen=True, slots=True)
class StringLevel:
    """A KEYWORD field: ``ordinals[doc]`` is a number in ``strings``; documents without it come last."""

    strings: StringsPart
    ordinals: npt.NDArray[Any]
    present: RowMask | None
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        own = _string_keys(self.strings, self.descending, self.ordinals)
        return own if self.present is None else (AbsenceKeys(self.present), *own)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        size = len(self.ordinals)
        if mark is None:
            return RowMask.none(size), _absent(self.present, size)
        assert isinstance(mark, str)
        if not self.strings.size:
            return _absent(self.present, size), RowMask.none(size)
        greater, equal = self.strings.compare(mark.encode())
        beyond = ~(greater | equal) if self.descending else greater
        return _with_absent(self.present, RowMask(beyond[self.ordinals]), RowMask(equal[self.ordinals]))

    def marks(self, docs: Docs) -> list[Mark]:
        if not self.strings.size:
            return [None] * len(docs)
        marks: list[Mark] = [string.decode() for string in self.strings.taken(self.ordinals[docs])]
        return marks if self.present is None else _where(self.present.has(docs), marks)


@dataclass(frozen=True, slots=True)
class KeyLevel:
    """The primary key."""

    strings: StringsPart
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        return _string_keys(self.strings, self.descending, None)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        assert isinstance(mark, bytes)
        greater, equal = self.strings.compare(mark)
        return RowMask(~(greater | equal) if self.descending else greater), RowMask(equal)

    def marks(self, docs: Docs) -> list[Mark]:
        return [*self.strings.taken(docs)]


def _all_or_none(counts: bool, size: int) -> RowMask:
    return RowMask.all(size) if counts else RowMask.none(size)


def _absent(present: RowMask | None, size: int) -> RowMask:
    return RowMask.none(size) if present is None else RowMask.all(size) - present


def _with_absent(present: RowMask | None, beyond: RowMask, equal: RowMask) -> tuple[RowMask, RowMask]:
    """Of those that have a value the masks as they are; the others come after them all."""
    if present is None:
        return beyond, equal
    return (beyond & present) | _absent(present, present.rows), equal & present


def _where(present: npt.NDArray[np.bool_], marks: list[Mark]) -> list[Mark]:
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
    column = filterable(part, sorter.field)
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
    return NumberLevel(np.where(keys.present.bools(), keys.values, missing), None, sorter.descending)


def _string_level(keys: SortKeys, strings: DictionaryPart, missing: str | None, descending: bool) -> Level:
    if missing is None or keys.present is None:
        return StringLevel(strings, keys.values, keys.present, descending)
    filled = np.where(keys.present.bools(), keys.values.astype(np.int64, copy=False), strings.size)
    return StringLevel(strings.with_another(missing.encode()), filled, None, descending)
