"""Fields that aggregations read: checked against the schema, and their values in a part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import HasFields, filterable, nested
from lutra.fields.kind import FieldKind
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema
from lutra.scalars.doc_values import DocValues
from lutra.scalars.values import DTYPES, Scalar, ScalarReader
from lutra.search.aggregations.rows import Groups, Rows, RowValues, values_of
from lutra.segments.part import Part

Fits = Callable[[FieldKind], bool]

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Read:
    """Values that rows have, of the field's type: ``values[i]`` is one of the row ``rows[i]``; None: of row ``i``."""

    values: npt.NDArray[Any]
    rows: npt.NDArray[np.int64] | None
    is_single: bool
    """No row has two."""

    def kept(self, chosen: npt.NDArray[np.bool_]) -> Read:
        """Only the values that are ``chosen``."""
        places = np.flatnonzero(chosen)
        if len(places) == len(self.values):
            return self
        return Read(self.values[places], places if self.rows is None else self.rows[places], self.is_single)

    def groups(self, rows: Rows) -> Groups | None:
        """Of each value: the group of its row."""
        return rows.groups_at(self.rows)


@dataclass(frozen=True, slots=True)
class AggregatedField:
    """A field whose values are looked at, and what stands for a value that a row has not."""

    schema: FieldSchema
    kind: FieldKind
    reader: ScalarReader
    spaces: Sequence[str] = ()
    """The nested fields that it is in, from the outermost to the innermost: its values are those of the rows they are
    in."""
    missing: Scalar | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, dates or truth values: int64 where they are added up or compared."""
        return np.dtype(DTYPES[self.schema.type]).kind != "f"

    def shown(self, value: int | float) -> int | float:
        """A value, or what is made of several, as results show it: dates in milliseconds."""
        if not self.kind.is_date:
            return value
        return value // NS_PER_MS if isinstance(value, int) and value % NS_PER_MS == 0 else value / NS_PER_MS

    def found(self, rows: Rows) -> RowValues:
        """Which values rows have. Raises as `read`."""
        return values_of(rows, self.doc_values(rows))

    def spread(self, rows: Rows) -> int:
        """About how many values each of ``rows`` has, 1 at least. Raises as `read`."""
        values = self.doc_values(rows)
        if values.is_single or values.docs is None or not len(rows):
            return 1
        counts = values.counts(rows.search.part.size)
        count = len(values.docs) if rows.docs is None else int(counts[rows.docs].sum())
        return max(1, -(-count // len(rows)))

    def doc_values(self, rows: Rows) -> DocValues:
        """By row. Raises RequestTimeout, StorageFailure, Corruption."""
        known = rows.values.get(self.schema.name)
        if known is None:
            rows.search.deadline.check()
            known = rows.values[self.schema.name] = self._read_doc_values(rows)
        return known

    def _read_doc_values(self, rows: Rows) -> DocValues:
        within, parents = within_spaces(rows.search.part, self.spaces)
        values = filterable(within, self.schema.name).doc_values()
        if not parents:
            return values
        docs = rows_of(np.arange(len(values.values), dtype=np.int32) if values.docs is None else values.docs, parents)
        return replace(values, docs=docs, is_single=bool(np.all(docs[1:] > docs[:-1])))

    def read(self, rows: Rows) -> Read:
        """The values of a field of numbers, dates or truth values, ``missing`` where rows have none.

        Raises RequestTimeout, StorageFailure, Corruption.
        """
        values = self.doc_values(rows)
        found = values_of(rows, values)
        is_single = values.is_single or values.docs is None
        return self.with_missing(rows, found, found.taken(values.values), self.missing, is_single)

    def with_missing(
        self, rows: Rows, found: RowValues, taken: npt.NDArray[Any], missing: Any, is_single: bool = False
    ) -> Read:
        """``taken``, the values ``found``, and ``missing`` behind them for each row without one; None: none."""
        absent = found.absent(len(rows)) if missing is not None else found.rows
        if missing is None or absent is None or not len(absent):
            return Read(taken, found.rows, is_single)
        assert found.rows is not None
        filled = np.concatenate([taken, np.full(len(absent), missing, taken.dtype)])
        return Read(filled, np.concatenate([found.rows, absent]), is_single)


def within_spaces(part: Part, spaces: Sequence[str]) -> tuple[HasFields, list[Docs]]:
    """The documents within documents of the innermost of ``spaces``; and by space the parent of each document.

    Raises StorageFailure, Corruption.
    """
    within: HasFields = part
    parents = []
    for space in spaces:
        children = nested(within, space).children
        parents.append(children.parents())
        within = children
    return within, parents


def rows_of(docs: Docs, parents: Sequence[Docs]) -> Docs:
    """The rows that documents within documents are in."""
    for own in reversed(parents):
        docs = own[docs]
    return docs
