"""Fields of points that group-bys and counts read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import located
from lutra.geo.points import Coordinates, runs
from lutra.geo.values import coordinates_of
from lutra.model.geo import GeoPoint
from lutra.search.aggregations.fields import rows_of, within_spaces
from lutra.search.aggregations.keys import Codes, RowKeys, Table
from lutra.search.aggregations.rows import Groups, Places, Rows, RowValues


@dataclass(frozen=True, slots=True)
class RowPoints:
    """Points that rows have: ``coordinates[i]`` is one of the row ``rows[i]``; None: of row ``i``."""

    coordinates: Coordinates
    rows: Places | None
    is_once: bool
    """Whether no row has two."""


@dataclass(frozen=True, slots=True)
class LocatedField:
    """A field of points that are counted."""

    name: str
    spaces: Sequence[str] = ()
    """As of `lutra.search.aggregations.fields.AggregatedField`."""

    def found(self, rows: Rows) -> RowValues:
        """Which points rows have. Raises as `row_points`."""
        return RowValues(row_points(rows, self.name, self.spaces).rows, None)

    def distinct(self, rows: Rows, missing: GeoPoint | None) -> tuple[RowKeys, Groups | None]:
        """The points of rows as keys, ``missing`` (None: none) of rows without any; and the group of each."""
        found = row_points(rows, self.name, self.spaces)
        coordinates, owners = found.coordinates, found.rows
        if missing is not None and owners is not None:
            absent = RowValues(owners, None).absent(len(rows))
            coordinates = np.concatenate([coordinates, np.tile(coordinates_of((missing,)), (len(absent), 1))])
            owners = np.concatenate([owners, absent])
        distinct, codes = np.unique(np.ascontiguousarray(coordinates).view(np.complex128)[:, 0], return_inverse=True)

        def texts(used: Codes) -> Table:
            return [f"{point.real!r},{point.imag!r}".encode() for point in distinct[used].tolist()]

        return RowKeys(codes, len(distinct), texts), rows.groups_at(owners)


def points_per_row(rows: Rows, name: str, spaces: Sequence[str] = ()) -> int:
    """About how many points each of ``rows`` has, 1 at least. Raises as `row_points`."""
    within, parents = within_spaces(rows.search.part, spaces)
    part = located(within, name)
    if not (parents or part.field.is_array) or not len(rows):
        return 1
    owners = rows_of(part.points().documents(), parents)
    counts = np.bincount(owners, minlength=rows.search.part.size)
    count = len(owners) if rows.docs is None else int(counts[rows.docs].sum())
    return max(1, -(-count // len(rows)))


def row_points(rows: Rows, name: str, spaces: Sequence[str] = ()) -> RowPoints:
    """The points of a field of ``rows``, which may be of documents within them (``spaces``).

    Raises RequestTimeout, StorageFailure, Corruption.
    """
    rows.search.deadline.check()
    within, parents = within_spaces(rows.search.part, spaces)
    part, docs = located(within, name), rows.docs
    if docs is None or parents:
        points = part.points()
    else:
        points = part.points(docs if bool(np.all(docs[1:] > docs[:-1])) else np.unique(docs))
    owners = rows_of(points.documents(), parents)
    is_once = bool(np.all(owners[1:] > owners[:-1]))
    if docs is None:
        is_each = is_once and len(owners) == rows.search.part.size
        return RowPoints(points.coordinates, None if is_each else owners.astype(np.int64), is_once)
    begins, ends = (np.searchsorted(owners, docs, side) for side in ("left", "right"))
    having: npt.NDArray[np.int64] = np.repeat(np.arange(len(docs)), ends - begins)
    return RowPoints(points.coordinates[runs(begins, ends)], having, is_once)
