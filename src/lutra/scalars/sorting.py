"""What a scalar field sorts by: one key a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.model.arrays import Docs
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import SortMode
from lutra.scalars.strings_part import DictionaryPart

_AVERAGED: Final = frozenset({FieldType.LONG, FieldType.DOUBLE, FieldType.DATE})


@dataclass(frozen=True, slots=True)
class SortKeys:
    """``values[doc]`` sorts ``doc`` where ``present`` (None: everywhere); a number of ``strings`` where there are."""

    values: npt.NDArray[Any]
    present: RowMask | None
    strings: DictionaryPart | None


def check_mode(field: FieldSchema, mode: SortMode) -> None:
    """Raises ParameterInvalid for the average of what has none."""
    if mode is SortMode.AVG and field.is_array and field.type not in _AVERAGED:
        raise ParameterInvalid(f"field [{field.name}] is of type {field.type.name}: it has no AVG to sort by")


def averaged(field: FieldSchema, mode: SortMode, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``values``, as float64 where averages of arrays sort: of a column without arrays of several elements too."""
    return values.astype(np.float64) if mode is SortMode.AVG and field.is_array else values


def reduced(docs: Docs, values: npt.NDArray[Any], mode: SortMode) -> tuple[Docs, npt.NDArray[Any]]:
    """One value a document: the least, the greatest or the average of those with the same document.

    ``docs`` are ascending.
    """
    starts = np.flatnonzero(np.diff(docs, prepend=-1))
    return docs[starts], reduced_at(starts, values, mode)


def reduced_at(starts: npt.NDArray[np.int64], values: npt.NDArray[Any], mode: SortMode) -> npt.NDArray[Any]:
    """As `reduced`, of documents whose values begin at ``starts``."""
    if mode is SortMode.AVG:
        counts = np.diff(starts, append=len(values))
        with np.errstate(invalid="ignore", over="ignore"):
            average = np.add.reduceat(values.astype(np.float64), starts) / counts
        average[np.isnan(average)] = 0.0  # of infinities of both signs; any fixed place will do
        return average
    pick: Any = np.minimum if mode is SortMode.MIN else np.maximum
    result: npt.NDArray[Any] = pick.reduceat(values, starts)
    return result


def spread(docs: Docs | None, values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """``values`` as one for each of ``size`` documents: those of ``docs`` (None: 0, 1, 2, …), and zeros."""
    if docs is None and len(values) == size:
        return values
    result = np.zeros(size, values.dtype)
    if docs is None:
        result[: len(values)] = values
    else:
        result[docs] = values
    return result
