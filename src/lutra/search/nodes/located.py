"""Rows with a point in a shape on the earth: what the kinds of such conditions share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lutra.fields.capabilities import located
from lutra.kernels.geo import GeoShape
from lutra.kernels.selection import Selection
from lutra.search.nodes.columns import ColumnCondition, Fits
from lutra.segments.part import Part

LOCATED: Final[Fits] = lambda kind: kind.is_located  # noqa: E731


@dataclass(frozen=True, slots=True)
class InShape(ColumnCondition):
    """``shape`` follows from the operands, which are what compares."""

    shape: GeoShape = field(compare=False, repr=False)

    def select(self, part: Part) -> Selection:
        return located(part, self.field).within(self.shape)
