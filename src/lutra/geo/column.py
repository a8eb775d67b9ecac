"""One field of points of the newest rows, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.geo.part import Place
from lutra.geo.points import Coordinates, Points
from lutra.geo.values import points_of
from lutra.kernels.geo import GeoShape
from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.model.growable import Growable
from lutra.model.indexes import FieldSchema
from lutra.model.values import Value


@dataclass(frozen=True, slots=True)
class GeoView:
    """A `lutra.geo.part.GeoPart` of the first ``size`` documents. A shape looks at all points at once."""

    field: FieldSchema
    size: int
    all: Points

    def exists(self) -> Selection:
        """Documents with at least one point."""
        if self.all.docs is None and len(self.all) == self.size:
            return Selection.of(RowMask.all(self.size))
        return Selection.of(RowMask.of_rows(self.all.documents(), self.size))

    def within(self, shape: GeoShape) -> Selection:
        """Documents with a point in ``shape``."""
        return Selection.of(shape.select(self.all.coordinates, self.all.docs, self.size))

    def around(self, shape: GeoShape) -> tuple[int, int]:
        """Nothing is known before all are looked at, which takes no time."""
        return 0, 0

    def points(self, docs: npt.NDArray[np.int64] | None = None) -> Points:
        """All points, or those of ``docs`` (ascending, distinct), by document."""
        if docs is None:
            return self.all
        return self.all.of(docs)

    def value(self, doc: int) -> list[Place]:
        """The points of document ``doc``, in order."""
        found = self.points(np.array([doc], np.int64)).coordinates
        return [(lat, lon) for lat, lon in found.tolist()]


class GeoColumn:
    """Growable points of one field; one writer. See `lutra.fields.kind.Column`."""

    def __init__(self, field: FieldSchema) -> None:
        self.field = field
        self._coordinates = Growable(np.float64)
        self._docs: Growable | None = None
        self._staged_docs: list[int] = []
        self._staged: list[Place] = []
        self._settled: tuple[npt.NDArray[np.int32], Coordinates] | None = None

    def stage(self, doc: int, value: Value) -> bool:
        """Takes the value of ``doc``, later than all before it; False where it is none of the field's type."""
        points = points_of(self.field, value)
        if points is None:
            return False
        self._staged += points
        self._staged_docs += [doc] * len(points)
        return True

    def settle(self) -> int:
        """Turns what is staged into arrays. Returns how many more values turned out not to fit: none."""
        if self._staged:
            self._settled = np.array(self._staged_docs, np.int32), np.array(self._staged, np.float64)
            self._staged_docs, self._staged = [], []
        return 0

    def publish(self) -> None:
        """Makes what is settled part of the next view."""
        if self._settled is not None:
            docs, coordinates = self._settled
            self._settled = None
            self._append(docs, coordinates)

    def _append(self, docs: npt.NDArray[np.int32], coordinates: Coordinates) -> None:
        size = self._coordinates.size // 2
        if self._docs is None and not np.array_equal(docs, np.arange(size, size + len(docs))):
            self._docs = Growable(np.int32)
            self._docs.extend(np.arange(size, dtype=np.int32))
        if self._docs is not None:
            self._docs.extend(docs)
        self._coordinates.extend(coordinates.reshape(-1))

    def view(self, size: int) -> GeoView:
        """The points of the first ``size`` documents; all that is published must lie below."""
        return GeoView(self.field, size, self._points())

    def _points(self) -> Points:
        coordinates = self._coordinates.view().reshape(-1, 2)
        return Points(None if self._docs is None else self._docs.view()[: len(coordinates)], coordinates)

    @property
    def size_bytes(self) -> int:
        """Memory that the points take: documents may have many."""
        docs_bytes = 0 if self._docs is None else 4 * self._docs.size
        return 8 * self._coordinates.size + docs_bytes

    def compacted(self, renumber: npt.NDArray[np.int32]) -> GeoColumn:
        """A new column without the documents whose new number in ``renumber`` is negative."""
        result = GeoColumn(self.field)
        points = self._points().renumbered(renumber)
        if len(points):
            result._append(points.documents(), points.coordinates)
        return result
