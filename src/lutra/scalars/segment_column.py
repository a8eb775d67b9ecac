"""One scalar field of a segment: written once, read block by block as predicates ask for it.

A column is

- a dictionary: its distinct values, ascending, in blocks (`lutra.scalars.dictionary`);
- postings: its documents in the order of their values (`lutra.scalars.postings`), and where each value's begin;
- its values in document order: numbers of the dictionary, or the values themselves where so many are distinct that
  looking them up would cost more than it saves; and whose they are (`lutra.scalars.presence`).

So every predicate is a few runs of postings, found by the dictionary; nothing is scanned but for sorts and merges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.kernels.wildcard import ends_with, like, literal_prefix, literals
from lutra.model.deadline import current_deadline
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import SortMode
from lutra.scalars.dictionary import NumberDictionary, StringDictionary, write_numbers
from lutra.scalars.doc_values import DocValues
from lutra.scalars.elements import Elements
from lutra.scalars.grams import END, GRAM_BYTES, Grams, write_grams
from lutra.scalars.pages import Sink, Source
from lutra.scalars.postings import Postings, Run, write_postings
from lutra.scalars.presence import Presence, write_presence
from lutra.scalars.sorting import SortKeys, averaged, check_mode, reduced_at, spread
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.scalars.string_blocks import write_strings
from lutra.scalars.strings_part import Ordinals, StringTest
from lutra.scalars.values import DTYPES, STRING_TYPES, Scalar, ScalarReader

FORMAT: Final = 1

_LOOKED_UP_MAX: Final = 1 << 16
"""Distinct numbers of which a document's value is kept as a number of the dictionary."""

_RUNS_MAX: Final = 1_024
"""Of more runs of the dictionary all values are read, in document order: postings would be read run by run."""

_IN_A_ROW: Final = 64
"""Strings that are looked at in their order in the time that one takes that is not by the others."""
_TESTED_AT_ONCE: Final = 8_192
"""Strings that are looked at between two looks at the clock."""

_SHOWN_MAX: Final = 64
"""Characters of a value in a message."""


def write_column(sink: Sink, field: FieldSchema, size: int, elements: Elements) -> dict[str, Any]:
    """Writes the column of ``field`` over documents 0 to ``size`` - 1.

    Returns what `SegmentColumn` wants to know, for JSON. Takes some 40 bytes of memory a value while it works.

    :raises ValueError: the documents are not ascending or none of these, or strings are not ascending.
    """
    docs, values = elements.docs, elements.values
    single = _checked(docs, len(values), size)
    if field.type is FieldType.DOUBLE:
        values = values + 0.0  # -0.0 becomes 0.0: they are one value
    order = np.argsort(values, kind="stable").astype(np.int32)
    ordered = values[order]
    firsts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(ordered) else order[:0]
    distinct = ordered[firsts]
    numbers = np.repeat(np.arange(len(firsts), dtype=np.int32), np.diff(firsts, append=len(ordered)))
    ordinals = np.empty(len(values), np.int32)
    ordinals[order] = numbers

    meta: dict[str, Any] = {"format": FORMAT, "single": single, "values": None, "ordinals": None, "starts": None}
    if field.type in STRING_TYPES:
        assert elements.strings is not None
        strings = [elements.strings[i] for i in distinct.tolist()]
        meta["dictionary"] = write_strings(sink, strings)
        if field.type is FieldType.FUZZY_KEYWORD:
            meta["grams"] = write_grams(sink, strings)
    else:
        meta["dictionary"] = write_numbers(sink, distinct)
    if field.type in STRING_TYPES or len(distinct) <= _LOOKED_UP_MAX:
        meta["ordinals"] = StoredNumbers.write(sink, ordinals).meta()
    else:
        meta["values"] = StoredNumbers.write(sink, values).meta()
    meta["presence"] = write_presence(sink, size, docs, len(values), single)

    postings = order if docs is None else docs[order]
    if not single and len(postings):
        again = (postings[1:] == postings[:-1]) & (numbers[1:] == numbers[:-1])
        kept = np.concatenate(([True], ~again))
        postings, numbers = postings[kept], numbers[kept]
    if len(postings) != len(distinct):
        starts = np.searchsorted(numbers, np.arange(len(distinct) + 1, dtype=np.int32))
        meta["starts"] = StoredNumbers.write(sink, starts).meta()
    meta["postings"] = write_postings(sink, size, postings, single)
    return meta


def _checked(docs: npt.NDArray[np.int32] | None, count: int, size: int) -> bool:
    """Whether no document comes twice. Raises ValueError."""
    if docs is None:
        if count > size:
            raise ValueError(f"{count} values are more than {size} documents have")
        return True
    if len(docs) != count:
        raise ValueError(f"{count} values belong to {len(docs)} documents")
    if not count:
        return True
    steps = np.diff(docs)
    if int(docs[0]) < 0 or int(docs[-1]) >= size or bool(np.any(steps < 0)):
        raise ValueError(f"documents are not ascending from 0 to {size - 1}")
    return bool(np.all(steps > 0))


class SegmentColumn:
    """A `lutra.scalars.part.ScalarPart` over what `write_column` wrote to the sink that ``source`` reads.

    :raises Corruption: ``meta`` is of a format that is not known here.
    """

    def __init__(self, source: Source, field: FieldSchema, meta: Mapping[str, Any], size: int) -> None:
        if meta["format"] != FORMAT:
            raise Corruption(f"column [{field.name}] is of format {meta['format']}: this release reads {FORMAT}")
        self.field = field
        self.reader = ScalarReader(field)
        self.size = size
        self._source = source
        self._dtype = np.dtype(DTYPES[field.type])
        self._single: bool = meta["single"]
        self._dictionary: StringDictionary | NumberDictionary
        self._strings: StringDictionary | None = None
        self._numbers: NumberDictionary | None = None
        self._grams: Grams | None = None
        if field.type in STRING_TYPES:
            self._dictionary = self._strings = StringDictionary(source, meta["dictionary"])
            if field.type is FieldType.FUZZY_KEYWORD:
                self._grams = Grams(source, meta["grams"])
        else:
            self._dictionary = self._numbers = NumberDictionary(source, meta["dictionary"], self._dtype)
        self._values, self._ordinals, self._starts = (
            None if meta[name] is None else StoredNumbers.of(meta[name]) for name in ("values", "ordinals", "starts")
        )
        self._presence = Presence(source, meta["presence"], size)
        self._postings = Postings(source, meta["postings"], size, self._single)

    @property
    def resident_bytes(self) -> int:
        """About what is kept in memory, now that it has been used: the indexes of the dictionary's blocks."""
        return self._dictionary.state_bytes + (0 if self._grams is None else self._grams.state_bytes)

    def equals(self, value: Scalar) -> Selection:
        rank, found = self._dictionary.rank(value)
        return self._of_ranks([(rank, rank + found)])

    def one_of(self, values: list[Scalar]) -> Selection:
        return self._of_ranks(_runs(self._dictionary.find(values)))

    def between(
        self, lower: Scalar | None, upper: Scalar | None, include_lower: bool = True, include_upper: bool = True
    ) -> Selection:
        begin, end = 0, len(self._dictionary)
        if lower is not None:
            rank, found = self._dictionary.rank(lower)
            begin = rank + (found and not include_lower)
        if upper is not None:
            rank, found = self._dictionary.rank(upper)
            end = rank + (found and include_upper)
        return self._of_ranks([(begin, end)])

    def starts_with(self, prefix: str) -> Selection:
        assert self._strings is not None
        begin, _ = self._strings.rank(prefix)
        return self._of_ranks([(begin, self._strings.rank_after(prefix))])

    def ends_with(self, suffix: str) -> Selection:
        encoded = suffix.encode()
        return self._tested("", [encoded + END], lambda strings: ends_with(strings, encoded), are_all=True)

    def like(self, pattern: str) -> Selection:
        encoded = pattern.encode()
        pieces = [piece.encode() for piece in literals(pattern)]
        if pieces and pattern.endswith(literals(pattern)[-1]):
            pieces[-1] += END
        # Whatever has the piece is like ``*piece*``, and ``*piece`` where it is at the end.
        are_all = len(pieces) == 1 and pattern.startswith("*") and "?" not in pattern
        return self._tested(literal_prefix(pattern), pieces, lambda strings: like(strings, encoded), are_all)

    def tested(self, prefix: str, test: StringTest) -> Selection:
        return self._tested(prefix, [], test)

    def _tested(self, prefix: str, pieces: Sequence[bytes], test: StringTest, are_all: bool = False) -> Selection:
        """Documents with a string that starts with ``prefix`` and passes ``test``; none is tested before listing.

        ``pieces``: that such strings have, as `Grams.having` takes them; ``are_all``: that is all they need to have.
        """
        assert self._strings is not None
        begin, end = self._strings.rank(prefix)[0], self._strings.rank_after(prefix)
        having = None if self._grams is None else self._grams.having(pieces)
        numbers = having
        if having is not None:
            numbers = having[np.searchsorted(having, begin) : np.searchsorted(having, end)]
        needs_no_test = are_all and len(pieces[0]) <= GRAM_BYTES
        if numbers is None or (not needs_no_test and len(numbers) * _IN_A_ROW > end - begin):
            return Selection(self._of_ranks([(begin, end)]).estimate, partial(self._list_tested, begin, end, test))
        runs = _runs(numbers.tolist()) if len(numbers) <= _RUNS_MAX else [(begin, end)]
        make = partial(self._of_numbers, numbers) if needs_no_test else partial(self._list_passing, numbers, test)
        return Selection(self._of_ranks(runs).estimate, make)

    def _list_passing(self, numbers: npt.NDArray[np.int64], test: StringTest) -> RowMask:
        assert self._strings is not None
        found = []
        for at in range(0, len(numbers), _TESTED_AT_ONCE):
            current_deadline().check()
            own = numbers[at : at + _TESTED_AT_ONCE]
            found.append(own[test(self._strings.strings.take(own))])
        return self._of_numbers(np.concatenate(found) if found else numbers)

    def _list_tested(self, begin: int, end: int, test: StringTest) -> RowMask:
        assert self._strings is not None
        found: list[npt.NDArray[np.int64]] = []
        for first, strings in self._strings.strings.between(begin, end):
            current_deadline().check()
            found.append(np.flatnonzero(test(strings)) + first)
        return self._of_numbers(np.concatenate(found) if found else np.empty(0, np.int64))

    def _of_numbers(self, numbers: npt.NDArray[np.int64]) -> RowMask:
        """Documents with a value of one of these numbers of the dictionary, ascending."""
        ends = np.flatnonzero(np.diff(numbers, append=-1) != 1)
        if len(ends) <= _RUNS_MAX:
            begins = numbers[np.concatenate(([0], ends[:-1] + 1))] if len(ends) else numbers
            return self._of_ranks(list(zip(begins.tolist(), (numbers[ends] + 1).tolist(), strict=True))).mask()
        chosen = np.zeros(len(self._dictionary), bool)
        chosen[numbers] = True
        places = np.flatnonzero(chosen[self._read_ordinals()])
        docs = self._presence.docs()
        return RowMask.of_rows(places if docs is None else docs[places], self.size)

    def exists(self) -> Selection:
        return Selection(self._presence.documents_max, self._presence.mask)

    def sort_keys(self, mode: SortMode) -> SortKeys:
        check_mode(self.field, mode)
        # Numbers of the dictionary are in the order of its values; an average needs the values themselves.
        values = self._read_values() if self._strings is None else self._read_ordinals()
        if self._single:
            docs, values = self._presence.docs(), averaged(self.field, mode, values)
        else:
            docs, starts = self._presence.starts()
            values = reduced_at(starts, values, mode)
        present = None if docs is None and len(values) == self.size else self._presence.mask()
        strings = None if self._strings is None else self._strings.sorted
        return SortKeys(spread(docs, values, self.size), present, strings)

    def doc_values(self) -> DocValues:
        docs = self._presence.docs()
        if self._strings is not None:
            return DocValues(docs, self._read_ordinals(), self._single, self._strings.sorted)
        if self._numbers is None or self._values is not None:
            return DocValues(docs, self._read_values(), self._single)
        ordinals, distinct = self._read_ordinals(), self._numbers.read()
        return DocValues(docs, distinct[ordinals], self._single, ordinals=ordinals, distinct=distinct)

    def value(self, doc: int) -> Scalar | list[Scalar] | None:
        begin, end = self._presence.values_of(doc)
        if begin == end:
            return None
        values: list[Scalar]
        if self._values is not None:
            values = self._values.read(self._source, begin, end).tolist()
        else:
            assert self._ordinals is not None
            values = self._dictionary.take(self._ordinals.read(self._source, begin, end))
        return values if self.reader.is_many else values[0]

    def ordinals(self) -> Ordinals:
        assert self._strings is not None
        return Ordinals(self._presence.docs(), self._read_ordinals(), self._strings.sorted)

    def elements(self, renumber: npt.NDArray[np.int32] | None = None) -> Elements:
        docs = self._presence.docs()
        if self._strings is None:
            return Elements(docs, self._read_values()).renumbered(renumber)
        ordinals = self._read_ordinals().astype(np.int32)
        return Elements(docs, ordinals, self._strings.read()).renumbered(renumber)

    def faults(self) -> Iterator[str]:
        """Where predicates would not answer by the values that `elements` gives; nothing where they would.

        Takes some 40 bytes of memory a value while it works. Raises IndexError and the like where numbers lead nowhere.
        """
        stored = self._values if self._values is not None else self._ordinals
        if stored is None or (self._strings is not None and self._ordinals is None):
            yield "it has no values in document order"
            return
        found = [f"its dictionary: {text}" for text in self._dictionary.faults()]
        if self._grams is not None and self._strings is not None and not found:
            found += self._grams.faults(self._strings.read())
        found += [f"its documents: {text}" for text in self._presence.faults(stored.count, self._single)]
        yield from found
        if found:  # what follows builds on both
            return
        numbers = self._numbers_in_order()
        if numbers is None:
            yield "values in document order are not in its dictionary"
            return
        docs = self._presence.docs()
        pairs = numbers.astype(np.int64) << 32
        del numbers
        pairs |= np.arange(len(pairs)) if docs is None else docs
        pairs.sort()
        if not self._single:
            pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        yield from self._posting_faults(pairs)

    def _numbers_in_order(self) -> npt.NDArray[Any] | None:
        """The number in the dictionary of each value in document order; None where one is not in it."""
        count = len(self._dictionary)
        if self._values is None:
            ordinals = self._read_ordinals()
            known = not len(ordinals) or 0 <= int(ordinals.min()) <= int(ordinals.max()) < count
            return ordinals if known else None
        assert self._numbers is not None
        values, distinct = self._read_values(), self._numbers.read()
        numbers = np.searchsorted(distinct, values).astype(np.int32)
        if not len(values):
            return numbers
        return numbers if int(numbers.max()) < count and np.array_equal(distinct[numbers], values) else None

    def _posting_faults(self, pairs: npt.NDArray[np.int64]) -> Iterator[str]:
        """Where postings are not ``pairs``: a value's number, shifted by 32 bits, and a document; ascending."""
        count = len(self._dictionary)
        starts = np.searchsorted(pairs, np.arange(count + 1) << 32)
        begins = np.arange(count + 1) if self._starts is None else self._starts.read(self._source)
        docs, expected = self._postings.docs(), pairs.astype(np.uint32)
        if (len(begins), len(docs)) != (len(starts), len(expected)):
            there, due = (len(docs), len(begins) - 1), (len(expected), count)
            yield f"its postings: they and their values are {there}, but by document {due}"
            return
        wrong = np.flatnonzero(begins[:-1] != starts[:-1])
        if len(wrong):
            at = int(wrong[0])
            yield f"its postings: those of {self._shown(at)} begin at {begins[at]}, not at {starts[at]}"
        elif begins[-1] != starts[-1]:
            yield f"its postings: they end at {begins[-1]}, not at {starts[-1]}"
        wrong = np.flatnonzero(docs != expected)
        if len(wrong):
            at = int(wrong[0])
            value = self._shown(int(np.searchsorted(starts, at, side="right")) - 1)
            first = f"first document {docs[at]} of {value}, which is {expected[at]}"
            yield f"its postings: {len(wrong)} are wrong, {first}"
        else:
            yield from (f"its postings: {text}" for text in self._postings.faults())

    def _shown(self, number: int) -> str:
        text = repr(self._dictionary.take(np.array([number]))[0])
        return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."

    def _read_values(self) -> npt.NDArray[Any]:
        """The values of a field of numbers in document order, of the field's type."""
        if self._values is not None:
            return self._values.read(self._source).astype(self._dtype, copy=False)
        assert self._numbers is not None
        values: npt.NDArray[Any] = self._numbers.read()[self._read_ordinals()]
        return values

    def _read_ordinals(self) -> npt.NDArray[Any]:
        """The numbers in the dictionary of all values, in document order."""
        assert self._ordinals is not None
        return self._ordinals.read(self._source)

    def _of_ranks(self, runs: list[Run]) -> Selection:
        """Documents with a value whose number is in one of the ``runs``, ascending and apart."""
        runs = [run for run in runs if run[0] < run[1]]
        starts = self._starts
        if starts is not None and runs:
            places = [starts.place(n, n + 1) for run in runs for n in run]
            bounds = starts.unpack(b"".join(self._source.read_many(places))).tolist()
            runs = list(zip(bounds[::2], bounds[1::2], strict=True))
        return Selection(min(self.size, sum(end - begin for begin, end in runs)), partial(self._postings.mask, runs))


def _runs(numbers: list[int]) -> list[Run]:
    """Ascending ``numbers`` as runs of neighbours."""
    groups = (list(group) for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]))
    return [(group[0][1], group[-1][1] + 1) for group in groups]
