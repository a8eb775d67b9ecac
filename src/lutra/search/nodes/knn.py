"""The rows nearest to a vector. They are found for all parts together, before anything is collected."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import nearest
from lutra.kernels.row_mask import RowMask
from lutra.model import limits
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.indexes import Metric
from lutra.model.queries import KnnVector
from lutra.search.binder import Binder
from lutra.search.nodes.node import Clause, Condition, Node, PartSearch, explained
from lutra.search.nodes.registry import binds
from lutra.search.scores import Docs, DocScores, MatchScores
from lutra.vectors.part import RECALL_TARGET_DEFAULT, KnnCounters

_NONE: Final = DocScores(np.empty(0, np.int64), np.empty(0, np.float64))


@binds(KnnVector)
def bind(query: KnnVector, binder: Binder) -> Clause:
    top_k = binder.neighbours(query.top_k)
    of = binder.field("knn_vector query", query.field, lambda kind: kind.is_nearest)
    binder.check_weight("knn_vector query", query.weight)
    _check_limits(query)
    assert of.vector is not None
    vector = _read_vector(query, of.vector.dimension)
    inner = None if query.filter is None else binder.bind_in_knn(query.filter).condition
    near = Near(
        query.field,
        bool(binder.space),
        binder.is_excluding,
        of.vector.metric,
        vector.tobytes(),
        top_k,
        id(inner),
        query.weight,
        query.min_score,
        query.num_candidates,
        binder.recall_target if query.num_candidates is None else RECALL_TARGET_DEFAULT,
        vector,
        inner,
    )
    return Clause(binder.same(near), 1.0)


def _check_limits(query: KnnVector) -> None:
    most = limits.OFFSET_PLUS_LIMIT_MAX
    if not 1 <= query.top_k <= most:
        raise ParameterInvalid(f"[knn_vector query] top_k must be in [1, {most}], not {query.top_k}")
    if query.min_score is not None and not 0 <= query.min_score < math.inf:
        raise ParameterInvalid(f"[knn_vector query] min_score must not be negative: {query.min_score}")
    candidates = query.num_candidates
    if candidates is not None and not query.top_k <= candidates <= most:
        raise ParameterInvalid(f"[knn_vector query] num_candidates must be in [top_k, {most}], not {candidates}")


def _read_vector(query: KnnVector, dimension: int) -> npt.NDArray[np.float32]:
    """The query's vector as float32[dimension]."""
    given: object = query.vector
    is_vector = isinstance(given, np.ndarray) and given.dtype == np.float32 and given.shape == (dimension,)
    if is_vector and np.isfinite(query.vector).all():
        return np.ascontiguousarray(query.vector)
    with np.errstate(over="ignore"):
        vector = np.ascontiguousarray(query.vector, np.float32)
    if vector.shape != (dimension,):
        raise ParameterInvalid(
            f"[knn_vector query] field: {query.field} has {dimension} dimensions, the query vector has {vector.size}"
        )
    if not math.isfinite(float(np.sum(vector, dtype=np.float64))):
        raise ParameterInvalid("[knn_vector query] the query vector has an element that is not a finite float32")
    return vector


@dataclass(frozen=True, slots=True)
class Near(Condition):
    """Its weight is part of it: ``min_score`` goes by scores that have it."""

    field: str
    is_nested: bool
    """Whether it finds documents of a nested field: then the nearest of each row, of so many rows."""
    is_excluding: bool
    """Whether what it finds is left out: then what was found in part is of no use."""
    metric: Metric
    vector_bytes: bytes
    top_k: int
    filter_id: int
    weight: float
    min_score: float | None
    num_candidates: int | None
    recall_target: float
    """What is to be found of the neighbours, where no candidates are named."""
    vector: npt.NDArray[np.float32] = dataclasses.field(compare=False)
    """float32[dimension]"""
    filter: Condition | None = dataclasses.field(compare=False)

    def node(self, part: PartSearch) -> NearNode:
        return NearNode(part, self)

    def without_vector(self) -> Near:
        """What is the same of all that differ in their vectors alone."""
        return dataclasses.replace(self, vector_bytes=b"")

    def within(self) -> tuple[Clause, ...]:
        return () if self.filter is None else (Clause(self.filter, 1.0),)

    def describe(self) -> dict[str, Any]:
        asked = {"recall_target": self.recall_target} if self.num_candidates is None else {}
        return {"query": "knn_vector", "field": self.field, "top_k": self.top_k, **asked}


class Scan(NamedTuple):
    """What the vectors of a part were asked, and what it took."""

    wanted: int
    qualifying: int
    within: float
    counters: KnnCounters
    us: float
    checked: int | None = None
    """Documents that the filter was checked on, of which those that are qualifying passed; None: it was listed."""

    def explain(self) -> dict[str, Any]:
        """Fit for JSON; ``within`` is None where any distance would do."""
        took = self.counters
        return {
            "strategy": took.strategy,
            **({"planned": took.planned} if took.planned else {}),
            "wanted": self.wanted,
            "qualifying": self.qualifying,
            **({} if self.checked is None else {"checked": self.checked}),
            "within": None if math.isinf(self.within) else self.within,
            "distances": took.distances,
            "compared": took.compared,
            "hops": took.hops,
            "reads": took.reads,
            "bytes": took.bytes,
            "us": round(self.us, 1),
        }


class Nearest(NamedTuple):
    """The share of a part in the neighbours of all parts."""

    docs: Docs
    distances: npt.NDArray[np.float32]


_NOTHING_NEAR: Final = Nearest(_NONE.docs, np.empty(0, np.float32))


class Sampled(NamedTuple):
    """Of the true neighbours of all parts, how many are of this one, and how many of these were found."""

    nearest: int
    found: int


class NearNode(Node):
    """``found`` is this part's share of the neighbours of all parts, which `lutra.search.candidates` sees to."""

    __slots__ = ("_condition", "_filter", "_scans", "found", "is_cut", "nearest", "sampled")

    uniform = None

    def __init__(self, search: PartSearch, condition: Near) -> None:
        super().__init__(search)
        self._condition = condition
        self._filter = None if condition.filter is None else (condition.filter, search.node(condition.filter))
        self.found = _NONE
        self.nearest = _NOTHING_NEAR
        """What ``found`` is of, those that score too little included."""
        self.is_cut = False
        """Whether time was up while they were looked for: all searches that ask for them are told so."""
        self.sampled: Sampled | None = None
        """Where the search was asked to look (`lutra.search.recall`), and could."""
        self._scans: list[Scan] = []

    def set_found(self, found: DocScores) -> None:
        self.found = found

    def set_nearest(self, docs: Docs, distances: npt.NDArray[np.float32]) -> None:
        self.nearest = Nearest(docs, distances)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Only those of its ``nearest`` that are among the neighbours of other shards' parts, too; before it is listed.

        ``kept``: bool[n], of each of ``nearest``.
        """
        docs, distances = self.nearest
        self.nearest = Nearest(docs[kept], distances[kept])
        among = np.isin(self.found.docs, self.nearest.docs)
        self.found = DocScores(self.found.docs[among], self.found.values[among])

    @property
    def most(self) -> float:  # type: ignore[override]
        return float(np.abs(self.found.values).max(initial=0.0))

    def took(self, scan: Scan) -> None:
        """Notes a scan, where the search explains itself."""
        self._scans.append(scan)
        self.took_us += scan.us

    def estimate(self) -> int:
        return len(self.found.docs)

    def _list(self) -> RowMask:
        if self.is_cut and self._condition.is_excluding:
            raise RequestTimeout("The search did not find all neighbours that are to be left out in time.")
        return RowMask.of_rows(self.found.docs, self.part.size)

    def scores(self, docs: Docs) -> MatchScores:
        return self.found.take(docs)

    def _explain_more(self) -> Mapping[str, Any]:
        told: dict[str, Any] = {"scans": [scan.explain() for scan in self._scans]}
        if self._scans and self._scans[0].checked is None:
            first, of = self._scans[0], self._condition
            among = None if first.qualifying == self.part.size else first.qualifying
            predicted = nearest(self.part, of.field).predicted(first.wanted, among, of.num_candidates, of.recall_target)
            if predicted is not None:
                told["predicted_us"] = {name: round(us, 1) for name, us in predicted.us.items()}
                told["predicted"] = {
                    "kind": predicted.kind,
                    "strategy": predicted.strategy,
                    "distances": predicted.distances,
                    "reads": predicted.reads,
                    "bytes": predicted.bytes,
                    "recall": None if predicted.recall is None else round(predicted.recall, 4),
                }
        if self.sampled is not None:
            told["sampled"] = self.sampled._asdict()
        if self._filter is not None:
            condition, node = self._filter
            told["filter"] = explained(Clause(condition, 1.0), node)
        return told
