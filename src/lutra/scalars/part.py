"""The face that a column in memory and one in a segment share, so that a search sees no difference."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from lutra.kernels.selection import Selection
from lutra.model.indexes import FieldSchema
from lutra.model.queries import SortMode
from lutra.scalars.doc_values import DocValues
from lutra.scalars.elements import Elements
from lutra.scalars.sorting import SortKeys
from lutra.scalars.strings_part import Ordinals, StringsPart, StringTest
from lutra.scalars.values import Scalar, ScalarReader

__all__ = ["ScalarPart", "StringsPart"]


class ScalarPart(Protocol):
    """One field over the documents 0 to ``size`` - 1, unchanging. Thread-safe.

    A predicate returns a selection: of about how many documents it is true, and the mask of them. What is read from
    storage, for the one or the other, raises StorageFailure where that fails, Corruption, naming place and block, where
    bytes are not those that were written.
    """

    @property
    def field(self) -> FieldSchema: ...

    @property
    def reader(self) -> ScalarReader:
        """Turns a query's operand into what the predicates take."""

    @property
    def size(self) -> int: ...

    def equals(self, value: Scalar) -> Selection:
        """Documents with an element equal to ``value``."""

    def one_of(self, values: list[Scalar]) -> Selection:
        """Documents with an element among ``values``."""

    def between(
        self, lower: Scalar | None, upper: Scalar | None, include_lower: bool = True, include_upper: bool = True
    ) -> Selection:
        """Documents with an element between the bounds; None leaves a side open."""

    def starts_with(self, prefix: str) -> Selection:
        """Documents with an element that starts with ``prefix``; this and the next four: fields of strings only."""

    def ends_with(self, suffix: str) -> Selection:
        """Documents with an element that ends with ``suffix``. Raises RequestTimeout.

        Looks at every distinct value, but of FUZZY_KEYWORD fields in segments.
        """

    def like(self, pattern: str) -> Selection:
        """Documents with an element like ``pattern``, in which ``*`` is any characters, none too, and ``?`` is one.

        Looks at the distinct values that begin as it does up to its first sign, of FUZZY_KEYWORD fields in segments at
        those that have its pieces. Raises RequestTimeout.
        """

    def tested(self, prefix: str, test: StringTest) -> Selection:
        """Documents with an element that starts with ``prefix`` and passes ``test``. Raises RequestTimeout."""

    def ordinals(self) -> Ordinals:
        """The values in document order, as numbers of the dictionary."""

    def exists(self) -> Selection:
        """Documents with at least one element."""

    def sort_keys(self, mode: SortMode) -> SortKeys:
        """What the documents sort by; ``mode`` says which element of an array counts.

        Raises ParameterInvalid for the average of what has none.
        """

    def doc_values(self) -> DocValues:
        """All values by document, for aggregations."""

    def value(self, doc: int) -> Scalar | list[Scalar] | None:
        """What document ``doc`` holds: a list where the field holds arrays; None where it has no element."""

    def elements(self, renumber: npt.NDArray[np.int32] | None = None) -> Elements:
        """All values in document order, for a merge.

        ``renumber`` (int32[size]) gives each document its new number, negative where it is left out.
        """
