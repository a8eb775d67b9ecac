"""One scalar field of an index: its values, and the predicates over them.

Values lie flat, beside the numbers of the documents they belong to, so memory follows the values that are there, arrays
need nothing of their own, and a column in which every document has one value needs no document numbers at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.kernels.wildcard import ends_with, like
from lutra.model.arrays import Mask
from lutra.model.growable import Growable
from lutra.model.indexes import FieldSchema
from lutra.model.queries import SortMode
from lutra.model.values import Value
from lutra.scalars.doc_values import DocValues
from lutra.scalars.elements import Elements
from lutra.scalars.sorting import SortKeys, averaged, check_mode, reduced, spread
from lutra.scalars.strings import Strings, StringsView
from lutra.scalars.strings_part import Ordinals, StringTest
from lutra.scalars.values import DTYPES, STRING_TYPES, Scalar, ScalarReader

_EQUALITIES_MAX: Final = 4
"""Up to so many terms are compared one by one; more go through a hash table."""
_STRING_BYTES: Final = 250
"""Of a distinct string beside its text, which is kept as text and as bytes: its objects, its number, its words."""
_ELEMENT_BYTES: Final = 8
_HASH_BITS: Final = 16
_HASH_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)


class Dictionary:
    """The distinct strings of a column, numbered as they come."""

    def __init__(self) -> None:
        self.strings = Strings()
        self.ordinal: dict[str, int] = {}
        self.text_bytes = 0
        """Of all strings together."""
        self._added: list[bytes] = []

    def ordinals(self, values: list[str]) -> list[int]:
        """The ordinal of each of ``values``; new strings are numbered now and added by ``publish``."""
        known = self.ordinal
        for value in values:
            if value not in known:
                known[value] = len(known)
                self._added.append(value.encode())
        return [known[value] for value in values]

    def publish(self) -> None:
        self.strings.extend(self._added)
        self.text_bytes += sum(map(len, self._added))
        self._added = []

    def view(self) -> DictionaryView:
        return DictionaryView(self.strings.view(), self.ordinal)

    def kept(self, ordinals: npt.NDArray[Any]) -> Dictionary:
        """A new one with only the strings of ``ordinals``, numbered in that order."""
        result = Dictionary()
        result.strings = self.strings.kept(ordinals)
        result.ordinal = dict(zip(map(bytes.decode, result.strings), range(len(result.strings)), strict=True))
        result.text_bytes = sum(map(len, result.strings))
        return result


@dataclass(slots=True)
class DictionaryView:
    """A dictionary as it was; ``ordinal`` may know later strings too, which ``find`` leaves out."""

    strings: StringsView
    ordinal: dict[str, int]
    _rank: npt.NDArray[np.int64] | None = None
    _order: npt.NDArray[np.int64] | None = None

    def find(self, value: str) -> int | None:
        found = self.ordinal.get(value)
        return found if found is not None and found < self.strings.size else None

    def ranks(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """``(rank by ordinal, ordinal by rank)``, in the order of the strings."""
        if self._rank is None or self._order is None:
            order = self.strings.order()
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order))
            self._rank, self._order = rank, order
        return self._rank, self._order


@dataclass(frozen=True, slots=True)
class ScalarView:
    """One field over the first ``size`` documents, unchanging. Predicates look at all values at once.

    ``docs`` are the document numbers of ``values``, ascending, or None where they are 0, 1, 2, …; ``single`` tells that
    none comes twice.
    """

    field: FieldSchema
    reader: ScalarReader
    size: int
    values: npt.NDArray[Any]
    docs: npt.NDArray[np.int32] | None
    single: bool
    dictionary: DictionaryView | None

    def equals(self, value: Scalar) -> Selection:
        """Documents with an element equal to ``value``."""
        if self.dictionary is not None:
            assert isinstance(value, str)
            ordinal = self.dictionary.find(value)
            if ordinal is None:
                return Selection.of(RowMask.none(self.size))
            return Selection.of(self.spread(self.values == ordinal))
        return Selection.of(self.spread(self.values == value))

    def one_of(self, values: list[Scalar]) -> Selection:
        """Documents with an element among ``values``."""
        if self.dictionary is not None:
            chosen = np.zeros(self.dictionary.strings.size, bool)
            for value in values:
                assert isinstance(value, str)
                ordinal = self.dictionary.find(value)
                if ordinal is not None:
                    chosen[ordinal] = True
            return self._of_ordinals(chosen)
        terms = np.unique(np.array(values, self.values.dtype))
        if len(terms) > _EQUALITIES_MAX:
            return Selection.of(self.spread(_among(self.values, terms)))
        hit = np.zeros(len(self.values), bool)
        for term in terms:
            hit |= self.values == term
        return Selection.of(self.spread(hit))

    def between(
        self, lower: Scalar | None, upper: Scalar | None, include_lower: bool = True, include_upper: bool = True
    ) -> Selection:
        """Documents with an element between the bounds; None leaves a side open."""
        if self.dictionary is not None:
            strings = self.dictionary.strings
            return self._of_ordinals(_strings_between(strings, lower, upper, include_lower, include_upper))
        hit = np.ones(len(self.values), bool)
        if lower is not None:
            hit &= self.values >= lower if include_lower else self.values > lower
        if upper is not None:
            hit &= self.values <= upper if include_upper else self.values < upper
        return Selection.of(self.spread(hit))

    def starts_with(self, prefix: str) -> Selection:
        """Documents with an element that starts with ``prefix``; this and what follows: fields of strings only."""
        assert self.dictionary is not None
        return self._of_ordinals(self.dictionary.strings.starts_with(prefix.encode()))

    def ends_with(self, suffix: str) -> Selection:
        """Documents with an element that ends with ``suffix``."""
        assert self.dictionary is not None
        strings = self.dictionary.strings
        return self._of_ordinals(ends_with(strings.strings, suffix.encode(), strings.size))

    def like(self, pattern: str) -> Selection:
        """Documents with an element like ``pattern``."""
        assert self.dictionary is not None
        strings = self.dictionary.strings
        return self._of_ordinals(like(strings.strings, pattern.encode(), strings.size))

    def tested(self, prefix: str, test: StringTest) -> Selection:
        """Documents with an element that starts with ``prefix`` and passes ``test``."""
        assert self.dictionary is not None
        chosen = self.dictionary.strings.starts_with(prefix.encode())
        numbers = np.flatnonzero(chosen)
        chosen[numbers] = test(self.dictionary.strings.taken(numbers))
        return self._of_ordinals(chosen)

    def exists(self) -> Selection:
        """Documents with at least one element."""
        return Selection.of(self._present())

    def _present(self) -> RowMask:
        if self.docs is not None:
            return RowMask.of_rows(self.docs, self.size)
        return self.spread(np.ones(len(self.values), bool))

    def sort_keys(self, mode: SortMode) -> SortKeys:
        """What the documents sort by; ``mode`` says which element of an array counts.

        Raises ParameterInvalid for the average of what has none.
        """
        check_mode(self.field, mode)
        strings = None if self.dictionary is None else self.dictionary.strings
        if self.docs is None or self.single:
            docs, values = self.docs, averaged(self.field, mode, self.values)
        elif self.dictionary is None:
            docs, values = reduced(self.docs, self.values, mode)
        else:
            rank, order = self.dictionary.ranks()
            docs, ranks = reduced(self.docs, rank[self.values], mode)
            values = order[ranks]
        present = None if docs is None and len(values) == self.size else self._present()
        return SortKeys(spread(docs, values, self.size), present, strings)

    def doc_values(self) -> DocValues:
        """All values by document, for aggregations."""
        strings = None if self.dictionary is None else self.dictionary.strings
        return DocValues(self.docs, self.values, self.docs is None or self.single, strings)

    def value(self, doc: int) -> Scalar | list[Scalar] | None:
        """What document ``doc`` holds: a list where the field holds arrays; None where it has no element."""
        if self.docs is None:
            begin, end = min(doc, len(self.values)), min(doc + 1, len(self.values))
        else:
            begin, end = np.searchsorted(self.docs, [doc, doc + 1]).tolist()
        values: list[Scalar] = self.values[begin:end].tolist()
        if not values:
            return None
        if self.dictionary is not None:
            values = [string.decode() for string in self.dictionary.strings.taken(self.values[begin:end])]
        return values if self.reader.is_many else values[0]

    def ordinals(self) -> Ordinals:
        """Its values in document order, as numbers of its dictionary; fields of strings only."""
        assert self.dictionary is not None
        return Ordinals(self.docs, self.values, self.dictionary.strings)

    def elements(self, renumber: npt.NDArray[np.int32] | None = None) -> Elements:
        """All values in document order, for a segment; ``renumber`` as in `lutra.scalars.part.ScalarPart`."""
        if self.dictionary is None:
            return Elements(self.docs, self.values).renumbered(renumber)
        rank, order = self.dictionary.ranks()
        strings = self.dictionary.strings.taken(order)
        return Elements(self.docs, rank[self.values].astype(np.int32), strings).renumbered(renumber)

    def _of_ordinals(self, chosen: Mask) -> Selection:
        if not chosen.any():
            return Selection.of(RowMask.none(self.size))
        if chosen.all():
            return self.exists()
        return Selection.of(self.spread(chosen[self.values]))

    def spread(self, hit: Mask) -> RowMask:
        """The documents of those values that ``hit``, bool[values], is True of."""
        if self.docs is not None:
            return RowMask.of_rows(self.docs[hit], self.size)
        return RowMask(hit) if len(hit) == self.size else RowMask.of_rows(np.flatnonzero(hit), self.size)


def _among(values: npt.NDArray[Any], terms: npt.NDArray[Any]) -> Mask:
    """Mask of ``values`` that are in ``terms`` (sorted, distinct). A hash table rules out most in one pass."""
    shift = np.uint64(64 - _HASH_BITS)
    table = np.zeros(1 << _HASH_BITS, bool)
    table[(terms.view(np.uint64) * _HASH_FACTOR) >> shift] = True
    hit: Mask = table[(values.view(np.uint64) * _HASH_FACTOR) >> shift]
    maybe = np.flatnonzero(hit)
    places = np.minimum(np.searchsorted(terms, values[maybe]), len(terms) - 1)
    hit[maybe] = terms[places] == values[maybe]
    return hit


def _strings_between(
    strings: StringsView, lower: Scalar | None, upper: Scalar | None, include_lower: bool, include_upper: bool
) -> Mask:
    chosen = np.ones(strings.size, bool)
    if lower is not None:
        assert isinstance(lower, str)
        greater, equal = strings.compare(lower.encode())
        chosen &= greater | equal if include_lower else greater
    if upper is not None:
        assert isinstance(upper, str)
        greater, equal = strings.compare(upper.encode())
        chosen &= ~greater if include_upper else ~(greater | equal)
    return chosen


def _smaller(dictionary: Dictionary, ordinals: npt.NDArray[Any]) -> tuple[Dictionary, npt.NDArray[Any]]:
    """The dictionary without unused strings, and ``ordinals`` in it; both as they are where most are used."""
    used = np.zeros(len(dictionary.strings), bool)
    used[ordinals] = True
    if 2 * int(np.count_nonzero(used)) >= len(used):
        return dictionary, ordinals
    renumber = np.cumsum(used) - 1
    return dictionary.kept(np.flatnonzero(used)), renumber[ordinals]


class ScalarColumn:
    """Growable values of one scalar field; one writer.

    Values are staged one by one, settled in bulk (the costly part) and published at once; only what is published is in
    a view.
    """

    def __init__(self, field: FieldSchema) -> None:
        self.field = field
        self.reader = ScalarReader(field)
        self._values = Growable(DTYPES[field.type])
        self._docs: Growable | None = None
        self._single = True
        self._dictionary = Dictionary() if field.type in STRING_TYPES else None
        self._left_out = 0
        self._staged_docs: list[int] = []
        self._staged_values: list[Scalar] = []
        self._settled: tuple[npt.NDArray[np.int32], npt.NDArray[Any]] | None = None

    def stage(self, doc: int, value: Value | list[Any]) -> bool:
        """Takes the value of ``doc``, later than all before it; False where it does not fit the field.

        Of an array it may be what JSON was read to.
        """
        if self.reader.is_many:
            found = self.reader.elements(value)
            if found is None:
                return False
            elements, left_out = found
            self._staged_values += elements
            self._staged_docs += [doc] * len(elements)
            self._left_out += left_out
            return True
        scalar = self.reader.element(value)
        if scalar is None:
            return False
        self._staged_values.append(scalar)
        self._staged_docs.append(doc)
        return True

    def settle(self) -> int:
        """Turns what is staged into arrays. Returns how many elements were left out of values that are there else."""
        left_out, self._left_out = self._left_out, 0
        if not self._staged_docs:
            return left_out
        values: list[Any] = self._staged_values
        if self._dictionary is not None:
            values = self._dictionary.ordinals(values)
        self._settled = np.array(self._staged_docs, np.int32), np.array(values, DTYPES[self.field.type])
        self._staged_docs, self._staged_values = [], []
        return left_out

    def publish(self) -> None:
        """Makes what is settled part of the next view."""
        if self._settled is None:
            return
        docs, values = self._settled
        self._settled = None
        if self._dictionary is not None:
            self._dictionary.publish()
        self._append(docs, values)

    def _append(self, docs: npt.NDArray[np.int32], values: npt.NDArray[Any]) -> None:
        size = self._values.size
        if self._docs is None and not np.array_equal(docs, np.arange(size, size + len(docs))):
            self._docs = Growable(np.int32)
            self._docs.extend(np.arange(size, dtype=np.int32))
        if self._docs is not None:
            self._docs.extend(docs)
            self._single = self._single and bool(np.all(docs[1:] > docs[:-1]))
        self._values.extend(values)

    def view(self, size: int) -> ScalarView:
        """The column over the first ``size`` documents; all that is published must lie below."""
        dictionary = None if self._dictionary is None else self._dictionary.view()
        docs = None if self._docs is None else self._docs.view()
        return ScalarView(self.field, self.reader, size, self._values.view(), docs, self._single, dictionary)

    @property
    def size_bytes(self) -> int:
        """Memory beside what is known of each value: none."""
        return 0

    @property
    def held_bytes(self) -> int:
        """About all the memory that its values take, of a field of strings."""
        assert self._dictionary is not None
        strings = len(self._dictionary.strings) * _STRING_BYTES + 2 * self._dictionary.text_bytes
        return strings + self._values.size * _ELEMENT_BYTES

    def compacted(self, renumber: npt.NDArray[np.int32]) -> ScalarColumn:
        """A new column without the documents whose new number in ``renumber`` is negative."""
        result = ScalarColumn(self.field)
        values = self._values.view()
        docs = np.arange(len(values), dtype=np.int32) if self._docs is None else self._docs.view()
        new_docs = renumber[docs]
        kept = new_docs >= 0
        new_docs, values = new_docs[kept], values[kept]
        if self._dictionary is not None:
            result._dictionary, values = _smaller(self._dictionary, values)
        result._append(new_docs, values)
        return result
