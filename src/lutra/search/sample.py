"""Some of the vectors of an index, by chance, with their keys and values of other fields: what pictures are made of.

Which rows they are depends on the numbers of documents alone: as long as a segment is there, the same ones come again,
but for those that have died.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import filterable, nearest
from lutra.fields.kind import FieldKind
from lutra.fields.kinds import kind_of
from lutra.index.lsm.view import IndexView
from lutra.kernels.row_mask import RowMask
from lutra.model.arrays import Docs as IntDocs
from lutra.model.deadline import Deadline
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema
from lutra.model.queries import MatchAll, PartStats, Query, SearchRequest
from lutra.model.rows import PrimaryKey
from lutra.scalars.doc_values import DocValues
from lutra.search.deadline import in_time
from lutra.search.nodes.knn import Near
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import plan_of
from lutra.search.scores import Docs
from lutra.segments.part import Part
from lutra.vectors.part import VectorPart

ROWS_MAX: Final = 20_000
BYTES_MAX: Final = 64 * 1024 * 1024
"""Of the vectors of one sample: of long ones there are fewer."""
_MIXED_AT_ONCE: Final = 1_000_000
"""Documents: of a very large segment not all are looked at in one piece."""
_NS_PER_US: Final = 1_000


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """``field`` is of vectors; ``values`` are other fields, whose values come along; ``where`` leaves out rows."""

    field: str
    rows: int
    where: Query | None = None
    values: tuple[str, ...] = ()
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class VectorSample:
    """Rows in no order that means anything."""

    keys: list[PrimaryKey]
    vectors: npt.NDArray[np.float32]
    """[n, dimension]"""
    values: Mapping[str, list[Any]]
    """By field, of each row: str, int, float or bool, of an array the first; dates in µs since the epoch; None where it
    has none."""
    of_rows: int
    """How many have a vector and match: the sample is of these."""
    basis: npt.NDArray[np.int16]
    """[m, dimension], of the largest segment that has one: `lutra.vectors.plane`; [0, dimension] where none has."""
    segments: tuple[str, ...]
    """Of which objects it is, in order of their names."""


def values_shown(field: FieldSchema) -> bool:
    """Whether the values of a field can come along."""
    kind = kind_of(field)
    return kind.is_counted and field.is_sortable and (kind.is_number or kind.is_date or _is_named(kind))


def sample_of(view: IndexView, request: SampleRequest) -> VectorSample:
    """``request.rows`` rows of ``view`` that have a vector, fewer where there are not so many.

    Raises ParameterInvalid, RequestTimeout, StorageFailure, Corruption.
    """
    return in_time(request.timeout_ms, lambda deadline: _Sampling(view, request).run(deadline))


class _Sampling:
    """One sample being taken."""

    def __init__(self, view: IndexView, request: SampleRequest) -> None:
        field = view.schema.field_in("", request.field)
        if field is None or field.vector is None:
            raise ParameterInvalid(f"[sample] field: {request.field} is no vector field of this index")
        if not 1 <= request.rows <= ROWS_MAX:
            raise ParameterInvalid(f"[sample] rows are 1 to {ROWS_MAX:,}, not {request.rows}")
        self._values: list[tuple[FieldSchema, FieldKind]] = []
        for name in request.values:
            shown = view.schema.field_in("", name)
            if shown is None or not values_shown(shown):
                raise ParameterInvalid(f"[sample] values: {name} is no field whose values can be shown")
            self._values.append((shown, kind_of(shown)))
        self._view = view
        self._request = request
        self._dimension = field.vector.dimension
        self._plan = plan_of(view, SearchRequest(request.where or MatchAll(), limit=0))
        if any(isinstance(condition, Near) for _, condition in self._plan.conditions):
            raise ParameterInvalid("[sample] where: neighbours are no filter")

    def run(self, deadline: Deadline) -> VectorSample:
        parts = self._view.parts
        masks = [self._mask(part, deadline) for part in parts]
        counts = [self._vectors(part).count(mask) for part, mask in zip(parts, masks, strict=True)]
        wanted = min(self._request.rows, max(1, BYTES_MAX // (4 * self._dimension)))
        keys: list[bytes] = []
        vectors: list[npt.NDArray[np.float32]] = [np.empty((0, self._dimension), np.float32)]
        values: dict[str, list[Any]] = {field.name: [] for field, _ in self._values}
        for part, mask, quota in zip(parts, masks, _quotas(counts, wanted), strict=True):
            if not quota:
                continue
            deadline.check()
            of = self._vectors(part)
            places = _chosen(of.docs(), mask, quota, part.name)
            vectors.append(of.read(places))
            docs = of.docs()[places].astype(np.int64)
            keys += part.keys.taken(docs)
            for field, kind in self._values:
                values[field.name] += _values_of(part, field, kind, docs)
        return VectorSample(
            self._view.codec.decode_all(keys),
            np.concatenate(vectors),
            values,
            sum(counts),
            self._basis(counts),
            tuple(sorted(part.name for part in parts if part.name)),
        )

    def _vectors(self, part: Part) -> VectorPart:
        return nearest(part, self._request.field)

    def _mask(self, part: Part, deadline: Deadline) -> RowMask | None:
        """Documents that live and match; None where all do."""
        if self._request.where is None:
            return part.live if part.rows < part.size else None
        search = PartSearch(part, PartStats(part.rows), deadline)
        return search.node(self._plan.root.condition).matches() & part.live

    def _basis(self, counts: Sequence[int]) -> npt.NDArray[np.int16]:
        for _, part in sorted(zip(counts, self._view.parts, strict=True), key=lambda one: -one[0]):
            basis = self._vectors(part).basis()
            if len(basis):
                return basis
        return np.empty((0, self._dimension), np.int16)


def _quotas(counts: Sequence[int], wanted: int) -> list[int]:
    """How many of each part, in proportion; all where there are no more."""
    total = sum(counts)
    if total <= wanted:
        return list(counts)
    ends = [round(wanted * end / total) for end in itertools.accumulate(counts, initial=0)]
    return [end - begin for begin, end in itertools.pairwise(ends)]


def _chosen(docs: IntDocs, mask: RowMask | None, count: int, seed: str) -> npt.NDArray[np.int64]:
    """Places of ``count`` of ``docs`` that ``mask`` has (None: of all), ascending, as if by chance: those whose numbers
    mix to the least. There are as many."""
    kept = np.empty(0, np.int64), np.empty(0, np.uint64)
    for begin in range(0, len(docs), _MIXED_AT_ONCE):
        some = docs[begin : begin + _MIXED_AT_ONCE]
        places = np.arange(len(some)) if mask is None else np.flatnonzero(mask.has(some))
        found = np.append(kept[0], begin + places), np.append(kept[1], _mixed(some[places], seed))
        least = np.argpartition(found[1], count - 1)[:count] if len(found[1]) > count else slice(None)
        kept = found[0][least], found[1][least]
    return np.sort(kept[0])


def _mixed(docs: IntDocs, seed: str) -> npt.NDArray[np.uint64]:
    """Numbers that say nothing of each other: splitmix64 (Steele, Lea & Flood, 2014)."""
    start = zlib.crc32(seed.encode()) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        mixed = docs.astype(np.uint64) + np.uint64(start)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _is_named(kind: FieldKind) -> bool:
    """Whether its values are names that rows share, or truth values."""
    return kind.sort_type is bool or (kind.has_strings and kind.is_collapsible)


def _values_of(part: Part, field: FieldSchema, kind: FieldKind, docs: Docs) -> list[Any]:
    """The value of each of ``docs``; of several the first."""
    values = filterable(part, field.name).doc_values()
    places, has = _first_places(values, docs)
    taken = values.values[places[has]]
    if values.strings is not None:
        names, which = np.unique(taken, return_inverse=True)
        texts = [text.decode() for text in values.strings.taken(names)]
        found: list[Any] = [texts[number] for number in which.tolist()]
    elif kind.is_date:
        found = [ns // _NS_PER_US for ns in taken.tolist()]
    elif kind.sort_type is bool:
        found = [bool(one) for one in taken.tolist()]
    else:
        found = taken.tolist()
    shown: list[Any] = [None] * len(docs)
    for at, value in zip(np.flatnonzero(has).tolist(), found, strict=True):
        shown[at] = value
    return shown


def _first_places(values: DocValues, docs: Docs) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where the first value of each document is, and whether it has any."""
    if values.docs is None:
        return docs, docs < len(values.values)
    places = values.docs.searchsorted(docs).astype(np.int64)
    has = places < len(values.docs)
    has[has] = values.docs[places[has]] == docs[has]
    return places, has
