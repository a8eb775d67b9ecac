"""One field of points in a segment: written once, read page by page as it is asked.

- The points in the order of their documents, and whose they are: nothing where each document has one; else the number
  of the document of each, of which every `_GROUP`-th is kept in memory, and a bit for each document that has any.
- The points along a curve, with a tree of boxes over them (`lutra.geo.tree`).

So a shape reads the boxes near its border, and the points of the leaves on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.geo.part import Place
from lutra.geo.points import Coordinates, Points, runs
from lutra.geo.tree import Sink, Source, Tree, runs_of, write_tree
from lutra.kernels.geo import GeoShape
from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema

FORMAT: Final = 1
_GROUP: Final = 1_023
"""Numbers of documents in a page."""
_POINT_BYTES: Final = 16
_DOC_BYTES: Final = 4
_READ_SINGLY: Final = 16
"""Points are read one by one where they are less than one in so many; else all of them are."""


def write_geo(sink: Sink, size: int, points: Points) -> dict[str, Any]:
    """Writes ``points`` of documents 0 to ``size`` - 1. Returns what `SegmentGeo` wants to know, for JSON.

    Takes some 40 bytes of memory a point, beside those given, while it works. The same points give the same bytes.

    :raises ValueError: the documents are not ascending, or none of these.
    """
    docs = points.documents()
    if len(docs) and (int(docs[0]) < 0 or int(docs[-1]) >= size or bool(np.any(docs[1:] < docs[:-1]))):
        raise ValueError(f"documents are not ascending from 0 to {size - 1}")
    firsts = np.flatnonzero(np.diff(docs, prepend=-1))
    meta: dict[str, Any] = {"format": FORMAT, "points": len(docs), "documents": len(firsts)}
    meta["coordinates"] = sink.write(points.coordinates.astype("<f8", copy=False))
    meta["docs"] = meta["groups"] = meta["bits"] = meta["tree"] = None
    if len(docs) != size or len(firsts) != size:
        meta["docs"] = sink.write(docs.astype("<i4", copy=False))
        meta["groups"] = sink.write(docs[::_GROUP].astype("<i4"))
        mask = np.zeros(size, bool)
        mask[docs] = True
        meta["bits"] = sink.write(np.packbits(mask, bitorder="little"))
    if len(docs):
        meta["tree"] = write_tree(sink, points)
    return meta


class SegmentGeo:
    """A `lutra.geo.part.GeoPart` over what `write_geo` wrote to the sink that ``source`` reads.

    :raises Corruption: ``meta`` is of a format that is not known here.
    """

    def __init__(self, source: Source, field: FieldSchema, meta: Mapping[str, Any], size: int) -> None:
        if meta["format"] != FORMAT:
            raise Corruption(f"points of [{field.name}] are of format {meta['format']}: this release reads {FORMAT}")
        self.field = field
        self.size = size
        self._source = source
        self._count: int = meta["points"]
        self._documents: int = meta["documents"]
        self._coordinates: int = meta["coordinates"]
        self._docs: int | None = meta["docs"]
        self._groups_at: int | None = meta["groups"]
        self._bits: int | None = meta["bits"]
        self._tree = None if meta["tree"] is None else Tree(source, meta["tree"], self._count)
        self._groups: npt.NDArray[np.int32] | None = None

    @property
    def resident_bytes(self) -> int:
        """What is kept in memory, now that it has been used: the tree above its leaves, and each group's first."""
        groups = 0 if self._groups is None else self._groups.nbytes
        return groups + (0 if self._tree is None else self._tree.state_bytes)

    def exists(self) -> Selection:
        return Selection(self._documents, self._present)

    def _present(self) -> RowMask:
        if self._bits is None:
            return RowMask.all(self.size)
        bits = np.frombuffer(self._source.read(self._bits, -(-self.size // 8)), np.uint8)
        return RowMask.of_bits(bits, self.size)

    def within(self, shape: GeoShape) -> Selection:
        tree = self._tree
        if tree is None:
            return Selection.of(RowMask.none(self.size))
        inside, crossing = tree.find(shape)
        if inside == [(0, self._count)]:
            return self.exists()
        estimate = sum(end - begin for begin, end in (*inside, *crossing))
        return Selection(min(self._documents, estimate), lambda: tree.mask(shape, inside, crossing, self.size))

    def around(self, shape: GeoShape) -> tuple[int, int]:
        return (0, 0) if self._tree is None else self._tree.around(shape)

    def points(self, docs: npt.NDArray[np.int64] | None = None) -> Points:
        if docs is None:
            return Points(self._all_docs(), self._all_coordinates())
        if len(docs) * _READ_SINGLY >= self._count:
            return self.points().of(docs)
        if self._docs is None:
            return Points(docs.astype(np.int32), self._some_coordinates(docs))
        return self._found(docs)

    def value(self, doc: int) -> list[Place]:
        found = self.points(np.array([doc], np.int64)).coordinates
        return [(lat, lon) for lat, lon in found.tolist()]

    def faults(self) -> Iterator[str]:
        """Where what finds documents would not answer by the points of each; nothing where it would.

        Takes some 200 bytes of memory a point. Raises IndexError and the like where numbers lead nowhere.
        """
        points = self.points()
        docs, coordinates = points.documents(), points.coordinates
        if len(docs) and not (int(docs[0]) >= 0 and int(docs[-1]) < self.size and bool(np.all(docs[1:] >= docs[:-1]))):
            yield "its documents do not ascend"
            return
        if not bool(np.all(np.abs(coordinates) <= (90, 180))):
            yield "some of its points are not on the earth"
            return
        present = self._present()
        if present != RowMask.of_rows(docs, self.size):
            yield "those that have points are marked wrong"
        if present.count != self._documents:
            yield f"{self._documents} documents are said to have points, but {present.count} are marked"
        if self._docs is not None and not np.array_equal(self._read_groups(), docs[::_GROUP]):
            yield "the first document of a group is wrong"
        if self._tree is not None:
            yield from self._tree.faults(points)
        elif self._count:
            yield "there are points, but no tree"

    def _found(self, docs: npt.NDArray[np.int64]) -> Points:
        """The points of ``docs``, out of those groups that may have them."""
        groups = self._read_groups()
        # A document may go on from one group into the next, and then begins no group of its own.
        firsts = np.maximum(np.searchsorted(groups, docs, "left") - 1, 0)
        lasts = np.searchsorted(groups, docs, "right")
        chosen = np.unique(runs(firsts, lasts))
        if not len(chosen):
            return Points(np.empty(0, np.int32), np.empty((0, 2)))
        assert self._docs is not None
        places = [(first * _GROUP, min(end * _GROUP, self._count)) for first, end in runs_of(chosen)]
        numbers = np.concatenate([np.arange(first, end) for first, end in places])
        data = self._source.read_many(
            [(self._docs + first * _DOC_BYTES, (end - first) * _DOC_BYTES) for first, end in places]
        )
        owners = np.frombuffer(b"".join(data), "<i4")
        among = runs(np.searchsorted(owners, docs, "left"), np.searchsorted(owners, docs, "right"))
        return Points(owners[among].astype(np.int32, copy=False), self._some_coordinates(numbers[among]))

    def _read_groups(self) -> npt.NDArray[np.int32]:
        if self._groups is None:
            assert self._groups_at is not None
            count = -(-self._count // _GROUP)
            data = self._source.read(self._groups_at, count * _DOC_BYTES)
            self._groups = np.frombuffer(data, "<i4").astype(np.int32, copy=False)
        return self._groups

    def _all_docs(self) -> npt.NDArray[np.int32] | None:
        if self._docs is None:
            return None
        return np.frombuffer(self._source.read(self._docs, self._count * _DOC_BYTES), "<i4")

    def _all_coordinates(self) -> Coordinates:
        data = self._source.read(self._coordinates, self._count * _POINT_BYTES)
        return np.frombuffer(data, "<f8").reshape(-1, 2)

    def _some_coordinates(self, numbers: npt.NDArray[np.int64]) -> Coordinates:
        """Of the points ``numbers``, ascending."""
        places = [
            (self._coordinates + first * _POINT_BYTES, (end - first) * _POINT_BYTES) for first, end in runs_of(numbers)
        ]
        return np.frombuffer(b"".join(self._source.read_many(places)), "<f8").reshape(-1, 2)
