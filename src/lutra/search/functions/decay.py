"""1 near an origin, and less and less away from it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import filterable, located
from lutra.fields.kind import FieldKind
from lutra.geo.values import check_point, coordinates_of
from lutra.kernels.geo import geo_distances
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import DistanceType, GeoPoint
from lutra.model.queries import SortMode
from lutra.model.scoring import DateOrigin, Decay, DecayShape, GeoOrigin, ManyMode, NumberOrigin
from lutra.model.values import INT64_MAX, INT64_MIN
from lutra.search.binder import Binder
from lutra.search.functions.distances import Distances, by_document, from_moment, from_number
from lutra.search.functions.function import Function, Said, binds
from lutra.search.scores import Docs
from lutra.segments.part import Part

_NUMBERS: Final[Callable[[FieldKind], bool]] = lambda kind: kind.is_number  # noqa: E731
_POINTS: Final[Callable[[FieldKind], bool]] = lambda kind: kind.is_located  # noqa: E731
_DATES: Final[Callable[[FieldKind], bool]] = lambda kind: kind.is_date  # noqa: E731

Measure = Callable[[Docs], tuple[Distances, npt.NDArray[np.bool_]]]
"""Of documents (ascending, distinct): how far each is from the origin, and which have any value."""


@binds(Decay)
def bind(function: Decay, binder: Binder) -> Function:
    if not 0 < function.decay < 1:
        raise ParameterInvalid(f"[decay function] decay must be in (0, 1), not {function.decay}")
    name, of = function.field, function.origin
    match of:
        case NumberOrigin(origin, scale, offset):
            binder.field("decay function", name, _NUMBERS)
            if not math.isfinite(origin):
                raise ParameterInvalid(f"[decay function] origin must be a finite number: {origin}")
            return NumberDecay(name, _falling(function, scale, offset), function.mode, origin)
        case GeoOrigin(point, scale, offset):
            binder.field("decay function", name, _POINTS)
            check_point(point, "[decay function] origin")
            return GeoDecay(name, _falling(function, scale, offset), function.mode, point)
        case DateOrigin(moment, scale, offset):
            binder.field("decay function", name, _DATES)
            if not isinstance(moment, int):
                floor = binder.reader(name).point(moment).floor
                moment = INT64_MIN if floor is None else int(floor)
            elif not INT64_MIN <= moment <= INT64_MAX:
                raise ParameterInvalid(f"[decay function] origin must be within 64 bits: {moment}")
            return DateDecay(name, _falling(function, scale, offset), function.mode, moment)


def _falling(function: Decay, scale: float, offset: float) -> Falling:
    if not 0 < scale < math.inf:
        raise ParameterInvalid(f"[decay function] scale must be more than 0: {scale}")
    if not 0 <= offset < math.inf:
        raise ParameterInvalid(f"[decay function] offset must not be negative: {offset}")
    return Falling(function.shape, function.decay, float(scale), float(offset))


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
        measure = self.measured(part)

        def say(docs: Docs) -> Said:
            distances, has = measure(docs)
            return Said(np.where(has, self.falling.at(distances), 1.0), None)

        return say

    @abstractmethod
    def measured(self, part: Part) -> Measure:
        """How far the documents of a part are from the origin."""

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

    def measured(self, part: Part) -> Measure:
        values = filterable(part, self.field).doc_values()
        return _measure(values.docs, from_number(values.values, self.origin), self.mode, part.size)


@dataclass(frozen=True, slots=True)
class DateDecay(FieldDecay):
    origin_ns: int

    def measured(self, part: Part) -> Measure:
        values = filterable(part, self.field).doc_values()
        return _measure(values.docs, from_moment(values.values, self.origin_ns), self.mode, part.size)


def _measure(owners: npt.NDArray[np.int32] | None, distances: Distances, mode: ManyMode, size: int) -> Measure:
    """By the distances of all values, which belong to ``owners``."""
    by_doc, has = by_document(owners, distances, mode, size)
    return lambda docs: (by_doc[docs], has[docs])


@dataclass(frozen=True, slots=True)
class GeoDecay(FieldDecay):
    """Only points of the documents in question are looked at: distances along the earth take some time."""

    origin: GeoPoint

    def measured(self, part: Part) -> Measure:
        field, origin = located(part, self.field), coordinates_of([self.origin])

        def measure(docs: Docs) -> tuple[Distances, npt.NDArray[np.bool_]]:
            points = field.points(docs)
            distances = geo_distances(points.coordinates, origin, int(DistanceType.ARC), int(SortMode.MIN))
            places = docs.searchsorted(points.documents()).astype(np.int32)
            return by_document(places, distances, self.mode, len(docs))

        return measure
