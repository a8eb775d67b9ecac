"""Rows with a point in a shape on the earth: what the kinds of such conditions share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import located
from lutra.kernels.geo import GeoShape
from lutra.kernels.selection import Selection
from lutra.search.nodes.columns import ColumnCondition, ColumnNode, Fits
from lutra.search.nodes.node import Node, PartSearch, Unlisted
from lutra.search.scores import Docs
from lutra.segments.part import Part

LOCATED: Final[Fits] = lambda kind: kind.is_located  # noqa: E731

# Of 300,000 points by chance in an ellipse of 64 corners and in a box; half of them are 1.2 and 0.33 ms.
FIND_US: Final = 60.0
INSIDE_US: Final = 0.002
CROSSING_US: Final = 0.006
"""Of a large box that the border crosses: most of its leaves lie on one side."""


@dataclass(frozen=True, slots=True)
class InShape(ColumnCondition):
    """``shape`` follows from the operands, which are what compares."""

    shape: GeoShape = field(compare=False, repr=False)

    def node(self, part: PartSearch) -> Node:
        return InShapeNode(part, self)

    def select(self, part: Part) -> Selection:
        return located(part, self.field).within(self.shape)


class InShapeNode(ColumnNode):
    """To list what is within a shape takes the longer the longer its border is; to look at some points takes little."""

    __slots__ = ()

    _condition: InShape

    def _unlisted(self) -> Unlisted | None:
        of = self._condition
        inside, crossing = located(self.part, of.field).around(of.shape)
        list_us = FIND_US + inside * INSIDE_US + crossing * CROSSING_US
        return Unlisted(list_us, min(1.0, inside / max(1, self.part.size)))

    def _check(self, docs: Docs) -> npt.NDArray[np.bool_]:
        of = self._condition
        points = located(self.part, of.field).points(docs)
        return of.shape.select(points.coordinates, points.documents(), self.part.size).has(docs)
