"""The value of a field, times a factor and modified."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import filterable
from lutra.fields.kind import FieldKind
from lutra.model.errors import ParameterInvalid
from lutra.model.scoring import FieldValueFactor, ManyMode, Modifier
from lutra.search.binder import Binder
from lutra.search.functions.distances import by_document
from lutra.search.functions.function import ANYTHING, Function, Said, binds
from lutra.search.scores import Docs
from lutra.segments.part import Part

Numbers = npt.NDArray[np.float64]

_NUMBERS: Final[Callable[[FieldKind], bool]] = lambda kind: kind.is_number  # noqa: E731

_MODIFIED: Final[dict[Modifier, Callable[[Numbers], Numbers]]] = {
    Modifier.NONE: lambda x: x,
    Modifier.LOG: np.log10,
    Modifier.LOG1P: lambda x: np.log10(x + 1),
    Modifier.LOG2P: lambda x: np.log10(x + 2),
    Modifier.LN: np.log,
    Modifier.LN1P: np.log1p,
    Modifier.LN2P: lambda x: np.log(x + 2),
    Modifier.SQUARE: np.square,
    Modifier.SQRT: np.sqrt,
    Modifier.RECIPROCAL: np.reciprocal,
}
_DEFINED: Final[dict[Modifier, Callable[[Numbers], npt.NDArray[np.bool_]]]] = {
    Modifier.LOG: lambda x: x > 0,
    Modifier.LOG1P: lambda x: x > -1,
    Modifier.LOG2P: lambda x: x > -2,
    Modifier.LN: lambda x: x > 0,
    Modifier.LN1P: lambda x: x > -1,
    Modifier.LN2P: lambda x: x > -2,
    Modifier.SQRT: lambda x: x >= 0,
    Modifier.RECIPROCAL: lambda x: x != 0,
}
"""Where there is such a modification; of the others everywhere."""


@binds(FieldValueFactor)
def bind(function: FieldValueFactor, binder: Binder) -> FieldValue:
    binder.field("field_value_factor", function.field, _NUMBERS)
    if not math.isfinite(function.factor):
        raise ParameterInvalid(f"[field_value_factor] factor must be a finite number: {function.factor}")
    missing = None
    if function.missing is not None:
        values, defined = modified(np.array([function.missing]), function.factor, function.modifier)
        if not defined.all() or not math.isfinite(function.missing):
            name = function.modifier.name
            raise ParameterInvalid(f"[field_value_factor] missing: {function.missing} has no {name} of its own")
        missing = float(values[0])
    return FieldValue(function.field, function.factor, function.modifier, missing)


def modified(values: Numbers, factor: float, modifier: Modifier) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """``modifier(factor * value)``, finite, and for which there is one."""
    with np.errstate(all="ignore"):
        scaled = np.clip(values * factor, -ANYTHING, ANYTHING)
        test = _DEFINED.get(modifier)
        defined = np.ones(len(scaled), bool) if test is None else test(scaled)
        result = np.nan_to_num(_MODIFIED[modifier](scaled), nan=0.0, posinf=ANYTHING, neginf=-ANYTHING)
    return result, defined


@dataclass(frozen=True, slots=True)
class FieldValue(Function):
    """``missing`` is modified already."""

    field: str
    factor: float
    modifier: Modifier
    missing: float | None

    def in_part(self, part: Part) -> Callable[[Docs], Said]:
        found = filterable(part, self.field).doc_values()
        least, has = by_document(found.docs, found.values.astype(np.float64), ManyMode.MIN, part.size)

        def say(docs: Docs) -> Said:
            values, defined = modified(least[docs], self.factor, self.modifier)
            defined &= has[docs]
            if self.missing is not None:
                return Said(np.where(defined, values, self.missing), None)
            return Said(values, defined)

        return say

    def describe(self) -> dict[str, Any]:
        return {
            "function": "field_value_factor",
            "field": self.field,
            "factor": self.factor,
            "modifier": self.modifier.name.lower(),
            "missing": self.missing,
        }
