"""A search in one shard: a view that has some of the rows, whose first ones, counts and aggregations are merged with
those of other shards (`lutra.search.coordinator`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lutra.index.lsm.view import Document, IndexView
from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.model.errors import Corruption
from lutra.model.nested import InnerHitsByPath
from lutra.model.queries import Hit, PartStats, SearchRequest, SearchStats
from lutra.search.aggregations import AggregationCollector
from lutra.search.candidates import find_candidates
from lutra.search.collecting import Collected, collected, firsts_of
from lutra.search.collectors.top import Firsts
from lutra.search.deadline import finding_until
from lutra.search.executor import Answer, documents_of, keys_and_scores
from lutra.search.explanation import explanation_of
from lutra.search.gathered import Gathered, Known, Neighbours, within
from lutra.search.inner_hits import inner_hits_of
from lutra.search.nodes.knn import Near, NearNode
from lutra.search.nodes.node import PartSearch, Placed
from lutra.search.plan import plan_of
from lutra.search.recall import sample_recall
from lutra.search.statistics import scored_in, statistics_of, tell_statistics


@dataclass(slots=True)
class Sent:
    """What a shard has found, as it is sent."""

    hits: bytes
    aggregated: bytes
    aggregating_us: float


class ShardSearch:
    """One search of one view, used once: gathers, learns what is known of all shards, collects.

    Its hits are the first ``offset + limit`` of the request, whichever of these the page shows. Where nothing is
    learned the view is all there is, as far as words and neighbours go.
    """

    def __init__(self, view: IndexView, request: SearchRequest, seed: int | None, deadline: Deadline) -> None:
        """``deadline``: of the whole search, in all shards. Raises ParameterInvalid."""
        self._began_s = time.perf_counter()
        self._view = view
        self._request = request
        plan = plan_of(view, request, seed=seed)
        self._plan = replace(plan, offset=0, limit=plan.offset + plan.limit)
        self._deadline = deadline
        self._searches = [
            PartSearch(part, PartStats(part.rows), deadline, request.explain, allows_part=request.allow_partial)
            for part in view.parts
        ]
        self._words = scored_in(plan.scored_roots)
        self._firsts = firsts_of(self._plan)
        self._aggregator = AggregationCollector(plan.aggregations)
        self._found: Collected | None = None
        self._sent = Firsts([], [])
        self._own: Gathered | None = None

    @property
    def gathered(self) -> Gathered:
        """What others must know of it, found when it is first asked for.

        Raises RequestTimeout, Corruption, StorageFailure.
        """
        if self._own is None:
            with working_for(self._deadline):
                words = [statistics_of(placed, self._searches) for placed in self._words]
            with working_for(finding_until(self._deadline, [self._plan], self._request.allow_partial)):
                find_candidates((one, self._searches) for one in self._plan.conditions)
            if self._request.explain and self._request.samples_recall:
                # Of its own neighbours, before others leave no place to some of them.
                sample_recall(self._plan.conditions, self._searches)
            self._own = Gathered(words, [self._neighbours(placed) for placed in self._plan.nears])
            for placed, own in zip(self._words, words, strict=True):
                tell_statistics(placed, self._searches, own)
        return self._own

    def learn(self, known: Known) -> None:
        """Goes by what is known of all shards; before anything is collected. Raises Corruption where it is of another
        search."""
        own, nears = self.gathered, self._plan.nears
        if len(known.words) != len(self._words) or len(known.cuts) != len(nears):
            raise Corruption("what is known of all shards is of another search")
        for placed, together in zip(self._words, known.words, strict=True):
            if len(together.frequencies) != len(getattr(placed.condition, "terms", ())):
                raise Corruption("what is known of all shards is of other words")
            tell_statistics(placed, self._searches, together)
        for placed, neighbours, cut in zip(nears, own.neighbours, known.cuts, strict=True):
            if cut is not None:
                kept, begin = within(neighbours, cut), 0
                for node in self._near_nodes(placed):
                    end = begin + len(node.nearest.docs)
                    node.keep(kept[begin:end])
                    begin = end

    def collect(self) -> Answer:
        """The hits, without what is said of all that match (`sent`) and without a token.

        Raises RequestTimeout, Corruption, StorageFailure.
        """
        plan, request, searches = self._plan, self._request, self._searches
        _ = self.gathered
        found = self._found = collected(plan, request, searches, self._firsts, self._aggregator)
        current_deadline().check()
        places = self._firsts.places(found.top, 0, plan.limit)
        # All of them: what is sent of the hits beside their rows is of all.
        keys, scores, places, _ = keys_and_scores(found.top, places, in_part=False)
        self._sent = Firsts(places, keys)
        hits = list(map(Hit, self._view.codec.decode_all(keys), scores))
        stats = SearchStats.of([search.stats for search in searches])
        documents = documents_of(found.top, places)
        if request.explain:
            took_us = (time.perf_counter() - self._began_s) * 1e6
            stats.explanation = explanation_of(plan, found.searches, took_us)
        return Answer(hits, documents, found.total, stats=stats, is_complete=found.is_complete)

    def inner_hits(self, documents: Sequence[Document]) -> list[InnerHitsByPath]:
        """Of some of the hits. Raises as `collect`, and ParameterInvalid where they are more than an answer has."""
        assert self._found is not None
        if not self._plan.inner_hits:
            return []
        return inner_hits_of(self._plan.inner_hits, self._found.searches, documents)

    def sent(self) -> Sent:
        """What was collected. Raises as `collect`: what is left to be read is read now."""
        found = self._found
        assert found is not None
        level = b"" if found.level is None else self._aggregator.encode(found.level)
        return Sent(self._firsts.encode(found.top, self._sent), level, self._aggregator.took_us)

    def _near_nodes(self, placed: Placed) -> list[NearNode]:
        nodes = [search.space(placed.space).node(placed.condition) for search in self._searches]
        return [node for node in nodes if isinstance(node, NearNode)]

    def _neighbours(self, placed: Placed) -> Neighbours:
        assert isinstance(placed.condition, Near)
        distances: list[npt.NDArray[np.float64]] = [np.empty(0)]
        keys: list[bytes] = []
        for node in self._near_nodes(placed):
            docs = node.nearest.docs
            distances.append(node.nearest.distances.astype(np.float64))
            keys += node.part.keys.taken(docs)
        return Neighbours(np.concatenate(distances), keys)
