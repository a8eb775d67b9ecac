"""What a query is made of once it is bound: conditions, each of all parts of an index, and their nodes in these."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.model.deadline import Deadline
from lutra.model.errors import RequestTimeout
from lutra.model.queries import PartStats
from lutra.search.scores import Docs, MatchScores
from lutra.segments.kept_masks import KeptMasks
from lutra.segments.part import Part
from lutra.segments.space import spaces_down_to

_OF_ROWS: Final = ""


class Condition(ABC):
    """A query that was checked against the schema, its operands as its field holds them.

    Two that are equal match the same documents with the same scores, so one of them does for both: `Binder.same`.
    """

    __slots__ = ()

    matches_by_score: ClassVar[bool] = False
    """Whether what it matches depends on scores: they are reckoned then, whoever asks for it."""

    is_lasting: ClassVar[bool] = False
    """Whether an equal one of another search matches the same, as long as a part does not change."""

    @property
    def inner_space(self) -> str | None:
        """The path of the nested field whose documents the clauses within it are about; None: of the same ones."""
        return None

    @abstractmethod
    def node(self, part: PartSearch) -> Node:
        """Its node in a part."""

    def scored(self) -> tuple[Clause, ...]:
        """The clauses within it whose scores its own are made of."""
        return ()

    def within(self) -> tuple[Clause, ...]:
        """The clauses within it that may be why a document matches."""
        return ()

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What it is, for `explain`: its kind and its operands, of a bounded size, fit for JSON."""


class Clause(NamedTuple):
    """A condition where it stands in a query: its scores count so many times."""

    condition: Condition
    weight: float


class Placed(NamedTuple):
    """A condition, and which documents it is about: those of the nested field at ``space``, or rows where that is
    empty."""

    space: str
    condition: Condition


class PartSearch:
    """One search in one part: its nodes, each made when it is first asked for and kept.

    The documents of a nested field are a part within it, searched likewise (`space`).
    """

    __slots__ = (
        "_below",
        "_kept",
        "_nodes",
        "_path",
        "allows_part",
        "deadline",
        "explains",
        "part",
        "stats",
        "took_us",
    )

    def __init__(
        self,
        part: Part,
        stats: PartStats,
        deadline: Deadline,
        explains: bool = False,
        kept: dict[str, dict[int, Node]] | None = None,
        path: str = _OF_ROWS,
        allows_part: bool = False,
    ) -> None:
        """``kept``: by path, nodes that there are already. ``path``: of the nested field whose documents they are."""
        self.part = part
        self.stats = stats
        self.deadline = deadline
        self.explains = explains
        self.allows_part = allows_part
        """Whether what was found by the deadline is an answer, rather than RequestTimeout."""
        self.took_us = 0.0
        """What neighbours and matching documents took here, where the search explains itself."""
        self._path = path
        self._kept = {} if kept is None else kept
        self._nodes: dict[int, Node] = self._kept.setdefault(path, {})
        self._below: dict[str, PartSearch] = {}

    def another(self) -> PartSearch:
        """One more query of the same request in this part: what both ask is evaluated once."""
        stats = PartStats(self.part.rows)
        return PartSearch(self.part, stats, self.deadline, self.explains, self._kept, allows_part=self.allows_part)

    def space(self, path: str) -> PartSearch:
        """The search in the documents of the nested field at ``path``, in full: itself, or one within it."""
        if path in (_OF_ROWS, self._path):
            return self
        found = self._below.get(path)
        if found is None:
            space = spaces_down_to(self.part, path)[0]
            found = self._below.get(space.path)
            if found is None:
                of = self.deadline, self.explains, self._kept, space.path, self.allows_part
                found = PartSearch(space, self.stats, *of)
                self._below[space.path] = found
            found = self._below[path] = found.space(path)
        return found

    def cut(self, error: RequestTimeout) -> None:
        """The time was up in the middle of something. Raises ``error`` where nobody wants what was found by then."""
        if not self.allows_part:
            raise error
        self.stats.is_complete = False

    def total_us(self) -> float:
        """What was looked for here took, and in what lies below."""
        return self.took_us + sum(search.took_us for search in set(self._all_below()))

    def _all_below(self) -> Iterator[PartSearch]:
        for search in self._below.values():
            yield search
            yield from search._all_below()

    def node(self, condition: Condition) -> Node:
        """The node of ``condition``, which is one of those that the binder keeps: another equal one is another."""
        node = self._nodes.get(id(condition))
        if node is None:
            node = self._nodes[id(condition)] = condition.node(self)
            if condition.is_lasting and self.part.kept is not None:
                node.keep_in(self.part.kept, condition)
        return node


class Unlisted(NamedTuple):
    """What is known of the documents that match before they are listed, and without much work."""

    list_us: float
    """What listing them would take, about."""
    passing: float
    """The share of all documents that match, about: 0 to 1."""


class Node(ABC):
    """One condition in one part."""

    __slots__ = ("_deadline", "_explains", "_keeping", "_mask", "_stats", "is_kept", "part", "took_us")

    most: float = 1.0
    """No score is greater, nor less than its opposite; infinite where that is beyond float64."""

    uniform: float | None = 1.0
    """The score of all that match, where it is known to be one."""

    def __init__(self, search: PartSearch) -> None:
        """Keeps the part and nodes below, not ``search``, which keeps it: what a view has is let go of at once."""
        self.part = search.part
        self._deadline = search.deadline
        self._stats = search.stats
        self._explains = search.explains
        self._mask: RowMask | None = None
        self._keeping: tuple[KeptMasks, Condition] | None = None
        self.is_kept = False
        """Whether its mask is the part's, for searches to come, too."""
        self.took_us = 0.0
        """What its mask took, those of the nodes below it included; counted where the search explains itself."""

    @abstractmethod
    def estimate(self) -> int:
        """About how many documents match, found before they are listed. Raises StorageFailure, Corruption."""

    def matches(self) -> RowMask:
        """The documents that match, dead ones perhaps among them. Listed once, however often it is asked for.

        Raises RequestTimeout, StorageFailure, Corruption.
        """
        mask = self._known()
        if mask is None:
            self._deadline.check()
            self._stats.conditions += 1
            if self._explains:
                began_s = time.perf_counter()
                mask = self._list()
                self.took_us += (time.perf_counter() - began_s) * 1e6
            else:
                mask = self._list()
            self._mask = mask
            if self._keeping is not None and self._stats.is_complete:
                kept, condition = self._keeping
                self.is_kept = kept.offer(condition, mask)
        return mask

    def keep_in(self, kept: KeptMasks, condition: Condition) -> None:
        """Its mask is that of ``condition`` in the part, of which searches before may have left it in ``kept``."""
        self._keeping = kept, condition

    def _known(self) -> RowMask | None:
        """The mask, as far as it is listed: by this search, or by others before."""
        if self._mask is None and self._keeping is not None:
            kept, condition = self._keeping
            self._mask = kept.get(condition)
            self.is_kept = self._mask is not None
        return self._mask

    def unlisted(self) -> Unlisted | None:
        """None where they are listed already, or as quickly as some are checked. Raises as `matches`."""
        return None if self._known() is not None else self._unlisted()

    def _unlisted(self) -> Unlisted | None:
        return None

    def matches_of(self, docs: Docs) -> npt.NDArray[np.bool_]:
        """Whether each of ``docs`` (int64[n], ascending) matches: where these are few, without listing all that do.

        Raises as `matches`.
        """
        mask = self._known()
        return self._check(docs) if mask is None else mask.has(docs)

    def _check(self, docs: Docs) -> npt.NDArray[np.bool_]:
        """As `matches_of`, of what is not listed."""
        return self.matches().has(docs)

    @abstractmethod
    def _list(self) -> RowMask:
        """As `matches`, which asks for it once."""

    def scores(self, docs: Docs) -> MatchScores:
        """Of ``docs`` (int64[n], ascending), which match: one for all, or float64[n]; finite."""
        return 1.0

    def explain(self) -> dict[str, Any]:
        """What was done here, fit for JSON; ``rows`` is None where the documents did not have to be listed, ``kept`` is
        there where searches before had listed them, or those to come have them."""
        return {
            "estimate": self.estimate(),
            "rows": None if self._mask is None else (self._mask & self.part.live).count,
            "us": round(self.took_us, 1),
            **({"kept": True} if self.is_kept else {}),
            **self._explain_more(),
        }

    def _explain_more(self) -> Mapping[str, Any]:
        return {}


def explained(clause: Clause, node: Node) -> dict[str, Any]:
    """A clause in a part, and its node there: what it is, and what was done about it."""
    weight = {} if clause.weight == 1.0 else {"weight": clause.weight}
    return {**clause.condition.describe(), **weight, **node.explain()}


def scores_where_it_matches(node: Node, docs: Docs) -> npt.NDArray[np.float64]:
    """The scores of ``docs``; 0 for those that do not match."""
    hit = node.matches().has(docs)
    scores = np.zeros(len(docs), np.float64)
    scores[hit] = node.scores(docs[hit])
    return scores
