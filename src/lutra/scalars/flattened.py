"""The leaves of JSON objects, asked for by their path: a FLATTENED field is one column, and each path a view of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.kernels.wildcard import ends_with, like, literal_prefix
from lutra.model.arrays import Mask
from lutra.model.indexes import FieldSchema
from lutra.model.queries import SortMode
from lutra.scalars.doc_values import DocValues
from lutra.scalars.elements import Elements
from lutra.scalars.leaves import AFTER, SEPARATOR
from lutra.scalars.part import ScalarPart
from lutra.scalars.sorting import SortKeys, check_mode, reduced, spread
from lutra.scalars.strings_part import DictionaryPart, Ordinals, StringSequence, StringsPart, StringTest
from lutra.scalars.values import Scalar, ScalarReader


class LeavesPart:
    """The texts of the leaves at one path, a `lutra.scalars.part.ScalarPart`; without a path, of all leaves."""

    def __init__(self, leaves: ScalarPart, field: FieldSchema, path: str) -> None:
        """``leaves``: a column of a FLATTENED field. ``field``: what this one is called."""
        self.field = replace(field, is_array=True)
        self.reader = ScalarReader(self.field)
        self.size = leaves.size
        self._leaves = leaves
        self._path = path
        self._before = path + SEPARATOR

    def at(self, path: str) -> LeavesPart:
        """The leaves at ``path`` below this one."""
        below = f"{self._path}.{path}" if self._path else path
        return LeavesPart(self._leaves, replace(self.field, name=f"{self.field.name}.{path}"), below)

    def equals(self, value: Scalar) -> Selection:
        return self._leaves.equals(f"{self._before}{value}")

    def one_of(self, values: list[Scalar]) -> Selection:
        return self._leaves.one_of([f"{self._before}{value}" for value in values])

    def between(
        self, lower: Scalar | None, upper: Scalar | None, include_lower: bool = True, include_upper: bool = True
    ) -> Selection:
        first = self._before if lower is None else f"{self._before}{lower}"
        last = self._path + AFTER if upper is None else f"{self._before}{upper}"
        return self._leaves.between(first, last, include_lower or lower is None, include_upper and upper is not None)

    def starts_with(self, prefix: str) -> Selection:
        return self._leaves.starts_with(self._before + prefix)

    def ends_with(self, suffix: str) -> Selection:
        encoded = suffix.encode()
        return self.tested("", lambda strings: ends_with(strings, encoded))

    def like(self, pattern: str) -> Selection:
        encoded = pattern.encode()
        return self.tested(literal_prefix(pattern), lambda strings: like(strings, encoded))

    def tested(self, prefix: str, test: StringTest) -> Selection:
        cut = len(self._before.encode())
        return self._leaves.tested(self._before + prefix, lambda strings: test([string[cut:] for string in strings]))

    def exists(self) -> Selection:
        """Documents with a leaf at the path or below it."""
        if not self._path:
            return self._leaves.exists()
        own, below = (self._leaves.starts_with(self._path + follows) for follows in (SEPARATOR, "."))
        return Selection(min(self.size, own.estimate + below.estimate), lambda: own.mask() | below.mask())

    def sort_keys(self, mode: SortMode) -> SortKeys:
        check_mode(self.field, mode)
        found = self.ordinals()
        docs = found.docs
        assert docs is not None
        ranks, order = _ranks(found)
        docs, ranks = reduced(docs, ranks, mode)
        values = spread(docs, order[ranks], self.size)
        return SortKeys(values, RowMask.of_rows(docs, self.size), found.strings)

    def value(self, doc: int) -> Scalar | list[Scalar] | None:
        leaves = self._leaves.value(doc)
        if not isinstance(leaves, list):
            return None
        before = self._before
        return [leaf[len(before) :] for leaf in leaves if isinstance(leaf, str) and leaf.startswith(before)] or None

    def ordinals(self) -> Ordinals:
        found = self._leaves.ordinals()
        values = found.values.astype(np.int64, copy=False)
        greater, equal = found.strings.compare(self._before.encode())
        after, at_end = found.strings.compare((self._path + AFTER).encode())
        own = ((greater | equal) & ~(after | at_end))[values]
        docs = np.arange(len(values), dtype=np.int32) if found.docs is None else found.docs
        return Ordinals(docs[own], values[own], _Texts(found.strings, self._before.encode()))

    def doc_values(self) -> DocValues:
        found = self.ordinals()
        return DocValues(found.docs, found.values, False, found.strings)

    def elements(self, renumber: npt.NDArray[np.int32] | None = None) -> Elements:
        found = self.ordinals()
        ranks, numbers = _ranks(found)
        return Elements(found.docs, ranks.astype(np.int32), found.strings.taken(numbers)).renumbered(renumber)


class _Cut:
    """A `StringsPart` of the same numbers as another's, without what all strings of a path begin with."""

    def __init__(self, strings: StringsPart, before: bytes) -> None:
        self._strings = strings
        self._before = before
        self.words = strings.words
        self.ranked = strings.ranked
        self.size = strings.size
        self.exact = strings.exact

    @property
    def strings(self) -> StringSequence:
        return self

    def __getitem__(self, index: int, /) -> bytes:
        return self._cut(self._strings.strings[index])

    def compare(self, value: bytes) -> tuple[Mask, Mask]:
        return self._strings.compare(self._before + value)

    def tie_ranks(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        return self._strings.tie_ranks(ids)

    def taken(self, ids: npt.NDArray[Any]) -> list[bytes]:
        return list(map(self._cut, self._strings.taken(ids)))

    def _cut(self, string: bytes) -> bytes:
        """Documents without a leaf at the path have the number of another string: nobody looks what it is."""
        return string[len(self._before) :] if string.startswith(self._before) else b""


class _Texts(_Cut):
    """The same of a `DictionaryPart`."""

    def __init__(self, strings: DictionaryPart, before: bytes) -> None:
        super().__init__(strings, before)
        self._dictionary = strings

    def with_another(self, value: bytes) -> StringsPart:
        return _Cut(self._dictionary.with_another(self._before + value), self._before)


def _ranks(found: Ordinals) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """``(rank of each value, number in the dictionary by rank)``, in the order of the strings."""
    numbers, places = np.unique(found.values, return_inverse=True)
    if found.strings.ranked:
        return places.astype(np.int64), numbers
    texts = found.strings.taken(numbers)
    order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
    rank = np.empty(len(texts), np.int64)
    rank[order] = np.arange(len(texts))
    return rank[places], numbers[order]
