"""What a scalar field sorts by: one key a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldType
from lutra.model.queries import SortMode
from lutra.scalars.column import ScalarView
from lutra.scalars.strings import Mask, StringsView

_AVERAGED: Final = frozenset({FieldType.LONG, FieldType.DOUBLE, FieldType.DATE})


@dataclass(frozen=True, slots=True)
class SortKeys:
    """``values[doc]`` sorts ``doc`` where ``present`` (None: everywhere); an ordinal of ``strings`` where there are."""

    values: npt.NDArray[Any]
    present: Mask | None
    strings: StringsView | None


def sort_keys(view: ScalarView, mode: SortMode) -> SortKeys:
    """The keys of ``view``'s documents; ``mode`` says which element of an array counts.

    Raises ParameterInvalid for the average of what has none.
    """
    if mode is SortMode.AVG and view.field.is_array and view.field.type not in _AVERAGED:
        raise ParameterInvalid(f"field [{view.field.name}] is of type {view.field.type.name}: it has no AVG to sort by")
    strings = None if view.dictionary is None else view.dictionary.strings
    if view.docs is None:
        if len(view.values) == view.size:
            return SortKeys(view.values, None, strings)
        values = np.zeros(view.size, view.values.dtype)
        values[: len(view.values)] = view.values
        return SortKeys(values, view.exists(), strings)
    docs, reduced = (view.docs, view.values) if view.single else _reduced(view, mode)
    values = np.zeros(view.size, reduced.dtype)
    values[docs] = reduced
    return SortKeys(values, view.exists(), strings)


def _reduced(view: ScalarView, mode: SortMode) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """One value a document of an array column."""
    assert view.docs is not None
    starts = np.flatnonzero(np.diff(view.docs, prepend=-1))
    docs = view.docs[starts]
    if mode is SortMode.AVG:
        counts = np.diff(starts, append=len(view.docs))
        with np.errstate(invalid="ignore", over="ignore"):
            average = np.add.reduceat(view.values.astype(np.float64), starts) / counts
        average[np.isnan(average)] = 0.0  # of infinities of both signs; any fixed place will do
        return docs, average
    pick: Any = np.minimum if mode is SortMode.MIN else np.maximum
    if view.dictionary is None:
        return docs, pick.reduceat(view.values, starts)
    rank, order = view.dictionary.ranks()
    return docs, order[pick.reduceat(rank[view.values], starts)]
