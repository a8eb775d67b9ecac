"""1 near an origin, and less and less away from it."""

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
from lutra.model.scoring import DateOrigin, Decay, DecayShape, ManyMode, NumberOrigin
from lutra.model.values import INT64_MIN
from lutra.search.binder import Binder
from lutra.search.functions.distances import Distances, by_document, from_moment, from_number
from lutra.search.functions.function import Function, Said, binds
from lutra.search.scores import Docs
from lutra.segments.part import Part

_NUMBERS: Final[Callable[[FieldKind], bool]] = lambda kind: kind.is_number  # noqa: E731
_DATES: Final[Callable[[FieldKind], bool]] = lambda kind: kind.is_date  # noqa: E731


@binds(Decay)
def bind(function: Decay, binder: Binder) -> Function:
    if not 0 < function.decay < 1:
        raise ParameterInvalid(f"[decay function] decay must be in (0, 1), not {function.decay}")
    falling = Falling(function.shape, function.decay, *_scale(function))
    if isinstance(function.origin, NumberOrigin):
        binder.field("decay function", function.field, _NUMBERS)
        if not math.isfinite(function.origin.origin):
            raise ParameterInvalid(f"[decay function] origin must be a finite number: {function.origin.origin}")
        return NumberDecay(function.field, falling, function.mode, function.origin.origin)
    binder.field("decay function", function.field, _DATES)
    origin = function.origin.origin
    if not isinstance(origin, int):
        floor = binder.reader(function.field).point(origin).floor
        origin = INT64_MIN if floor is None else int(floor)
    return DateDecay(function.field, falling, function.mode, origin)


def _scale(function: Decay) -> tuple[float, float]:
    """The origin's scale and offset."""
    of = function.origin
    scale, offset = (of.scale_ns, of.offset_ns) if isinstance(of, DateOrigin) else (of.scale, of.offset)
    if not 0 < scale < math.inf:
        raise ParameterInvalid(f"[decay function] scale must be more than 0: {scale}")
    if not 0 <= offset < math.inf:
        raise ParameterInvalid(f"[decay function] offset must not be negative: {offset}")
    return float(scale), float(offset)


@dataclass(frozen=True, slots=True)
class Falling:
    """1 as far as ``offset``, ``decay`` at ``scale`` beyond it."""

    shape: DecayShape
    decay: float
    scale: float
    offset: float

    def at(self, distances: Distances) -> npt.NDArray[np.float64]:
        """In [0, 1]; 0 at the end of the world."""
        with np.errstate(over="ignore", under="ignore"):
            beyond = np.maximum(distances - self.offset, 0.0) / self.scale
            if self.shape is DecayShape.LINEAR:
                return np.maximum(1.0 - (1.0 - self.decay) * beyond, 0.0)
            if self.shape is DecayShape.GAUSS:
                beyond = np.square(beyond)
            return np.exp(math.log(self.decay) * beyond)


@dataclass(frozen=True, slots=True)
class FieldDecay(Function):
    """Of a row without the field 1."""

    field: str
    falling: Falling
    mode: ManyMode

    def in_part(self, part: Part) -> Callable[[Docs], Said]:
        elements = filterable(part, self.field).elements()
        distances, has = by_document(elements.docs, self.distances(elements.values), self.mode, part.size)

        def say(docs: Docs) -> Said:
            return Said(np.where(has[docs], self.falling.at(distances[docs]), 1.0), None)

        return say

    def distances(self, values: npt.NDArray[Any]) -> Distances:
        """Of values of the field from the origin."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        falling = self.falling
        return {
            "function": falling.shape.name.lower(),
            "field": self.field,
            "decay": falling.decay,
            "scale": falling.scale,
            "offset": falling.offset,
            "mode": self.mode.name.lower(),
        }


@dataclass(frozen=True, slots=True)
class NumberDecay(FieldDecay):
    origin: float

    def distances(self, values: npt.NDArray[Any]) -> Distances:
        return from_number(values, self.origin)


@dataclass(frozen=True, slots=True)
class DateDecay(FieldDecay):
    origin_ns: int

    def distances(self, values: npt.NDArray[Any]) -> Distances:
        return from_moment(values, self.origin_ns)
