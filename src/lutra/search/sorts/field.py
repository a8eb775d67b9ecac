"""By a field."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import filterable
from lutra.fields.kinds import kind_of
from lutra.kernels.row_mask import RowMask
from lutra.model.queries import FieldSort, Missing, SortMode
from lutra.scalars.sorting import SortKeys
from lutra.scalars.strings_part import DictionaryPart, StringsPart
from lutra.scalars.values import Scalar
from lutra.search.binder import Binder
from lutra.search.level import Level
from lutra.search.mark import Mark, has_surrogate, ranks
from lutra.search.nodes.node import PartSearch
from lutra.search.scores import Scores
from lutra.search.sorts.joined_strings import JoinedStrings, one_string
from lutra.search.sorts.nested import Within, bind_within, sort_keys
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import binds
from lutra.search.sorts.values import NumberLevel, StringLevel


@binds(FieldSort)
def bind(sorter: FieldSort, binder: Binder) -> ByField:
    names = (sorter.field, *sorter.missing_fields)
    within, missing = bind_within("field_sort", sorter, binder), sorter.missing
    with binder.within("field_sort", within.path) if within is not None else nullcontext():
        fields = [binder.field_here("field_sort", name) for name in names]
        stand_in = None
        if missing is not None and not isinstance(missing, Missing):
            stand_in = binder.reader(sorter.field).stand_in(missing)
    mode = sorter.mode
    if mode is None:
        mode = SortMode.MAX if sorter.descending else SortMode.MIN
    is_average = mode is SortMode.AVG and (within is not None or any(field.is_array for field in fields))
    return ByField(
        names,
        sorter.descending,
        mode,
        stand_in,
        missing is Missing.FIRST,
        float if is_average else kind_of(fields[0]).sort_type,
        within,
    )


@dataclass(frozen=True, slots=True)
class ByField(Ordering):
    """By the first of ``names`` that a row has, else as ``missing``, else before or after all that have one."""

    names: tuple[str, ...]
    descending: bool
    mode: SortMode
    missing: Scalar | None
    absent_first: bool
    mark_type: type
    within: Within | None
    """None: the fields are the rows' own."""

    def level(self, search: PartSearch, scores: Scores) -> Level:
        keys = [self._keys(search, name) for name in self.names]
        own = keys[0]
        if own.strings is not None:
            assert self.missing is None or isinstance(self.missing, str)
            return self._string_level(own, keys[1:], own.strings)
        values, present = own.values, own.present
        for other in keys[1:]:
            values, present = _filled(values, present, other.values, other.present)
        if self.missing is not None:
            values, present = _filled(values, present, self.missing, None)
        if self.mark_type is float:
            values = values.astype(np.float64, copy=False)
        return NumberLevel(values, present, self.descending, self.absent_first)

    def _keys(self, search: PartSearch, name: str) -> SortKeys:
        if self.within is not None:
            return sort_keys(search, self.within, name, self.mode)
        return filterable(search.part, name).sort_keys(self.mode)

    def _string_level(self, own: SortKeys, others: list[SortKeys], strings: DictionaryPart) -> StringLevel:
        parts: list[StringsPart] = [strings]
        values, present, size = own.values, own.present, strings.size
        for other in others:
            assert other.strings is not None
            ordinals = other.values.astype(np.int64) + size
            if other.present is not None:
                ordinals[~other.present.bools()] = 0  # a number there is, of whatever string
            values, present = _filled(values, present, ordinals, other.present)
            parts.append(other.strings)
            size += other.strings.size
        together: StringsPart = strings if len(parts) == 1 else JoinedStrings(parts)
        if isinstance(self.missing, str) and present is not None:
            values, present = _filled(values, present, size, None)
            value = self.missing.encode()
            together = (
                strings.with_another(value) if together is strings else JoinedStrings([*parts, one_string(value)])
            )
        return StringLevel(together, values, present, self.descending, self.absent_first)

    def fits(self, mark: Mark) -> bool:
        return mark is None or (type(mark) is self.mark_type and not (isinstance(mark, str) and has_surrogate(mark)))

    def ranks(self, marks: Any) -> Any:
        return ranks(marks, self.descending, self.absent_first)


def _filled(
    values: npt.NDArray[Any], present: RowMask | None, others: Any, others_present: RowMask | None
) -> tuple[npt.NDArray[Any], RowMask | None]:
    """``values``, and where there is none those of ``others``; and where there is one now."""
    if present is None:
        return values, None
    dtype = np.int64 if values.dtype.kind in "iu" else values.dtype
    filled = np.where(present.bools(), values.astype(dtype, copy=False), others)
    return filled, None if others_present is None else present | others_present
