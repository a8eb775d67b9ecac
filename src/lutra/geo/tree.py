"""Points in the order of Hilbert's curve, and a tree of boxes over them: what finds the points in a shape.

Each `LEAF_POINTS` neighbours on the curve are a leaf, each `FAN_OUT` nodes of one level a node of the next. A node is a
box, the least that holds its points, and which points those are follows from its number: nothing else is stored. A
shape says of each box that all its points are within, or none, or that it has to be asked about them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lutra.geo.points import Coordinates, Points
from lutra.kernels.geo import GeoShape, geo_places_on_curve
from lutra.kernels.row_mask import RowMask
from lutra.model.deadline import current_deadline

LEAF_POINTS: Final = 128
FAN_OUT: Final = 64
SAMPLE_POINTS: Final = 256
"""That tell about how many points are in a shape."""
_POINT_BYTES: Final = 16
_DOC_BYTES: Final = 4
_BOX_BYTES: Final = 32
_CHUNK_POINTS: Final = 1 << 16
"""So many are read at a time."""
_INSIDE: Final = 1
_CROSSES: Final = 2

Boxes = npt.NDArray[np.float64]
"""float64[n, 4]: least and greatest latitude, least and greatest longitude."""
Nodes = npt.NDArray[np.int64]
Run = tuple[int, int]


class Sink(Protocol):
    """Where a tree is written; see `lutra.scalars.pages`."""

    def write(self, data: bytes | npt.NDArray[Any]) -> int:
        """Appends the bytes of ``data``; returns the place at which they begin."""


class Source(Protocol):
    """Where what a `Sink` took is read: its bytes, checked, at the places it gave. Thread-safe."""

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on."""

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each ``(offset, length)``, in order."""


def arranged(points: Points) -> Points:
    """``points`` along the curve; those at one place in the order of their documents."""
    order = np.argsort(geo_places_on_curve(points.coordinates), kind="stable")
    return Points(points.documents()[order], points.coordinates[order])


def levels_over(coordinates: Coordinates) -> list[Boxes]:
    """The boxes of each level, from the leaves up to one that has no more than `FAN_OUT`."""
    lats, lons = coordinates[:, 0], coordinates[:, 1]
    level = _joined((lats, lats, lons, lons), LEAF_POINTS)
    levels = [level]
    while len(level) > FAN_OUT:
        level = _joined(tuple(level.T), FAN_OUT)
        levels.append(level)
    return levels


def _joined(bounds: Sequence[npt.NDArray[np.float64]], count: int) -> Boxes:
    """The boxes that hold ``count`` each of those whose ``bounds`` these are, by column."""
    starts = np.arange(0, len(bounds[0]), count)
    picks = np.minimum, np.maximum, np.minimum, np.maximum
    columns = [pick.reduceat(own, starts) for pick, own in zip(picks, bounds, strict=True)] if len(starts) else bounds
    return np.stack(columns, axis=1)


def write_tree(sink: Sink, points: Points) -> dict[str, Any]:
    """Writes a tree of ``points``. Returns what `Tree` wants to know, for JSON."""
    along = arranged(points)
    meta: dict[str, Any] = {
        "docs": sink.write(along.documents().astype("<i4", copy=False)),
        "points": sink.write(along.coordinates.astype("<f8", copy=False)),
    }
    levels = levels_over(along.coordinates)
    meta["levels"] = [[sink.write(level.astype("<f8", copy=False)), len(level)] for level in levels]
    return meta


class Tree:
    """What `write_tree` wrote, of ``count`` points, read as it is asked for. Thread-safe."""

    def __init__(self, source: Source, meta: Mapping[str, Any], count: int) -> None:
        self._source = source
        self._count = count
        self._docs: int = meta["docs"]
        self._points: int = meta["points"]
        self._levels: list[tuple[int, int]] = [(offset, nodes) for offset, nodes in meta["levels"]]
        self._kept: list[Boxes] | None = None
        """The levels above the leaves, now that they were used."""
        self._sample: Coordinates | None = None

    @property
    def state_bytes(self) -> int:
        sample = 0 if self._sample is None else self._sample.nbytes
        return sample + sum(boxes.nbytes for boxes in self._kept or ())

    def find(self, shape: GeoShape) -> tuple[list[Run], list[Run]]:
        """Runs of points that are in ``shape``, and runs of which each point has to be asked about; ascending."""
        inside: list[Run] = []
        upper = self._upper()
        nodes = np.arange(self._levels[-1][1], dtype=np.int64)
        for height in range(len(self._levels) - 1, -1, -1):
            boxes = upper[height - 1][nodes] if height else self._leaves(nodes)
            relations = shape.relations(boxes)
            inside += self._runs(nodes[relations == _INSIDE], LEAF_POINTS * FAN_OUT**height)
            nodes = nodes[relations == _CROSSES]
            if height:
                children = (nodes[:, None] * FAN_OUT + np.arange(FAN_OUT)).reshape(-1)
                nodes = children[children < self._levels[height - 1][1]]
        return inside, self._runs(nodes, LEAF_POINTS)

    def around(self, shape: GeoShape) -> tuple[int, int]:
        """About how many points are in ``shape``, by a sample of them, and how many lie in boxes above the leaves that
        cross its border; where there are none above, any may."""
        sample = self._read_sample()
        inside = shape.select(sample, np.arange(len(sample), dtype=np.int32), len(sample)).count
        upper = self._upper()
        crossing = self._count
        if upper:
            boxes = int(np.count_nonzero(shape.relations(upper[0]) == _CROSSES))
            crossing = min(self._count, boxes * LEAF_POINTS * FAN_OUT)
        return round(inside / len(sample) * self._count), crossing

    def _read_sample(self) -> Coordinates:
        """Points evenly apart along the curve."""
        if self._sample is None:
            numbers = np.linspace(0, self._count - 1, min(SAMPLE_POINTS, self._count)).astype(np.int64)
            places = [(number, number + 1) for number in numbers.tolist()]
            self._sample = self._read(self._points, _POINT_BYTES, places, "<f8").reshape(-1, 2)
        return self._sample

    def mask(self, shape: GeoShape, inside: Sequence[Run], crossing: Sequence[Run], size: int) -> RowMask:
        """Of ``size`` documents those of the points ``inside``, and of those ``crossing`` that are in ``shape``."""
        mask = RowMask.none(size)
        for runs in _chunks(inside):
            mask = mask.plus(self._read(self._docs, _DOC_BYTES, runs, "<i4"))
        for runs in _chunks(crossing):
            docs = self._read(self._docs, _DOC_BYTES, runs, "<i4")
            points = self._read(self._points, _POINT_BYTES, runs, "<f8").reshape(-1, 2)
            mask = mask | shape.select(points, docs, size)
        return mask

    def faults(self, points: Points) -> Iterator[str]:
        """Where it is not the tree of ``points``."""
        along = arranged(points)
        docs = self._read(self._docs, _DOC_BYTES, [(0, self._count)], "<i4")
        wrong = np.flatnonzero(docs != along.documents())
        if len(wrong):
            at = int(wrong[0])
            yield f"its tree: {len(wrong)} documents are wrong, first {docs[at]} where {along.documents()[at]} is due"
        stored = self._read(self._points, _POINT_BYTES, [(0, self._count)], "<f8").reshape(-1, 2)
        wrong = np.flatnonzero((stored != along.coordinates).any(axis=1))
        if len(wrong):
            at = int(wrong[0])
            yield f"its tree: {len(wrong)} points are wrong, first that of document {along.documents()[at]}"
        levels = levels_over(along.coordinates)
        if [len(level) for level in levels] != [nodes for _, nodes in self._levels]:
            yield "its tree: it does not have the levels that its points call for"
            return
        for height, level in enumerate(levels):
            offset, nodes = self._levels[height]
            boxes = self._read(offset, _BOX_BYTES, [(0, nodes)], "<f8").reshape(-1, 4)
            wrong = np.flatnonzero((boxes != level).any(axis=1))
            if len(wrong):
                yield f"its tree: on level {height} {len(wrong)} boxes are wrong, first box {wrong[0]}"

    def _upper(self) -> list[Boxes]:
        if self._kept is None:
            places = [(offset, nodes * _BOX_BYTES) for offset, nodes in self._levels[1:]]
            self._kept = [np.frombuffer(data, "<f8").reshape(-1, 4) for data in self._source.read_many(places)]
        return self._kept

    def _leaves(self, nodes: Nodes) -> Boxes:
        return self._read(self._levels[0][0], _BOX_BYTES, runs_of(nodes), "<f8").reshape(-1, 4)

    def _runs(self, nodes: Nodes, points: int) -> list[Run]:
        """The points of ``nodes``, ascending, which have so many each."""
        return [(first * points, min(end * points, self._count)) for first, end in runs_of(nodes)]

    def _read(self, offset: int, item_bytes: int, runs: Sequence[Run], stored: str) -> npt.NDArray[Any]:
        places = [(offset + first * item_bytes, (end - first) * item_bytes) for first, end in runs]
        data = self._source.read_many(places)
        return np.frombuffer(data[0] if len(data) == 1 else b"".join(data), stored)


def runs_of(numbers: Nodes) -> list[Run]:
    """Ascending ``numbers`` as runs of neighbours: from one up to, without, another."""
    if not len(numbers):
        return []
    lasts = np.flatnonzero(numbers[1:] != numbers[:-1] + 1)  # but for the last of all
    begins = [int(numbers[0]), *numbers[lasts + 1].tolist()]
    return list(zip(begins, [*(numbers[lasts] + 1).tolist(), int(numbers[-1]) + 1], strict=True))


def _chunks(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """``runs`` in lists of some `_CHUNK_POINTS`. Raises RequestTimeout."""
    check: Callable[[], object] = current_deadline().check
    chunk: list[Run] = []
    points = 0
    for begin, end in runs:
        for first in range(begin, end, _CHUNK_POINTS):
            last = min(end, first + _CHUNK_POINTS)
            chunk.append((first, last))
            points += last - first
            if points >= _CHUNK_POINTS:
                check()
                yield chunk
                chunk, points = [], 0
    if chunk:
        yield chunk
