"""A search over shards, each of which has some of the rows: what they found is merged to what one view would answer.

Most searches ask each shard once. Before scores of words, and before neighbours where more is asked than to return the
nearest first, all shards are asked what must be known of them together; and the rows of a long page are fetched once it
is known which they are. Where a shard finds that rows are gone it says so, and those that it concerns collect again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np

from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.view import IndexView
from lutra.model.aggregations import Aggregated
from lutra.model.deadline import Deadline
from lutra.model.errors import LutraError, RequestTimeout, ServerBusy, StorageFailure
from lutra.model.indexes import IndexSchema
from lutra.model.queries import SearchRequest, SearchResult
from lutra.model.rows import KeyInput
from lutra.model.schema import KeyColumn
from lutra.model.shards import ShardCall, ShardReply, ShardStep, schema_mark_of
from lutra.search.deadline import in_time
from lutra.search.executor import told_of
from lutra.search.gathered import Gathered, known_of, within
from lutra.search.merging import Home, Merging, Page, Shown, shown_of, shown_with
from lutra.search.nodes.knn import Near
from lutra.search.plan import Plan, plan_of
from lutra.search.routing import check_routing
from lutra.search.scores import similarity, weighted
from lutra.search.statistics import scored_in
from lutra.tables.keys import KeyCodec

ROUNDS_MAX: Final = 64
"""Steps of one search: what a shard's rows that are gone cost, it looks for ever further ahead."""
_READ_AHEAD_MAX: Final = 200
"""Hits that each shard reads the rows of before it is known which of them the page shows."""
_AWAY: Final = (RequestTimeout, ServerBusy, StorageFailure)
"""What a shard that does not answer is told by: others may do without it."""

FillRows = Callable[[Aggregated, SearchRequest], None]
"""Gives the rows of groups, `lutra.model.aggregations.RowsResult`, what they show."""


class Shards(Protocol):
    """Where the rows are."""

    @property
    def expected(self) -> int:
        """How many there seem to be, before `begin`. There may be others."""

    @property
    def names(self) -> Sequence[str]:
        """Of the shards that were asked last by `begin`, to be told."""

    def begin(self, call: ShardCall) -> Sequence[ShardReply | LutraError]:
        """Makes the first step of a search in all shards there are, one at least: an answer of each, or why there is
        none. From then on these are the shards, by number."""

    def ask(self, calls: Mapping[int, ShardCall]) -> Mapping[int, ShardReply | LutraError]:
        """Makes a later step in some of them, all at once."""


class Coordinator:
    """Of one index: its schema, and the primary key's columns. Thread-safe."""

    def __init__(self, schema: IndexSchema, key_columns: tuple[KeyColumn, ...]) -> None:
        nothing = Buffer(schema, key_columns).view()
        self.schema_mark = schema_mark_of(schema)
        """Of what searches are checked against."""
        self._view = IndexView(schema, key_columns, (nothing,), KeyCodec(b"", key_columns))
        """What requests are checked against: of no rows."""

    def check(self, request: SearchRequest) -> None:
        """Raises ParameterInvalid where the request makes no sense under the index's schema."""
        plan_of(self._view, request)

    def search(
        self, request: SearchRequest, shards: Shards, fill_top_rows: FillRows, routing: Sequence[KeyInput] = ()
    ) -> SearchResult:
        """What one view with the rows of all ``shards``, one at least, would answer.

        With ``allow_partial`` it is of the shards that answer in time, where one does. Raises ParameterInvalid,
        RequestTimeout, and what a shard raises; SessionExpired where it has to be begun anew.
        """
        check_routing(self._view, routing)

        def run(deadline: Deadline) -> SearchResult:
            plan = plan_of(self._view, request)
            result = _Search(plan, request, shards, deadline).run()
            if result.aggregated is not None:
                fill_top_rows(result.aggregated, request)
            return result

        return in_time(request.timeout_ms, run)


class _Search:
    """One search being coordinated."""

    def __init__(self, plan: Plan, request: SearchRequest, shards: Shards, deadline: Deadline) -> None:
        self._began_s = time.perf_counter()
        self._plan = plan
        self._request = request
        self._shards = shards
        self._deadline = deadline
        self._merging = Merging(plan, request)
        self._top_ks = [one.condition.top_k for one in plan.nears if isinstance(one.condition, Near)]
        self._scores_words = bool(scored_in(plan.scored_roots))
        self._asked: list[int] = []
        """The shards that the answer is of: those that are away are left out where that is allowed."""
        self._rounds = 0
        self._sessions: dict[int, bytes] = {}
        self._gathered: dict[int, Gathered] = {}
        self._replies: dict[int, ShardReply] = {}
        """What shards have collected, by what is known of all of them now."""

    @property
    def _gathers(self) -> bool:
        """Whether something must be known of all shards first."""
        return self._scores_words or bool(self._top_ks)

    @property
    def _is_nearest_first(self) -> bool:
        """Whether all that is asked for are neighbours, the nearest first: those of all shards are among the neighbours
        of each, and begin with them."""
        plan = self._plan
        first = plan.order[0]
        return (
            plan.top_k is not None
            and len(self._top_ks) == 1
            and not self._scores_words
            and first.is_scoring
            and first.descending
            and not (self._request.count_total or plan.aggregations or plan.collapse is not None)
        )

    def run(self) -> SearchResult:
        """Raises as `Coordinator.search`."""
        plan = self._plan
        reads_rows = plan.offset + plan.limit <= _READ_AHEAD_MAX and not plan.inner_hits
        is_one = self._shards.expected == 1
        if reads_rows and (is_one or not self._gathers or self._is_nearest_first):
            self._replies = self._begin(ShardStep.WHOLE)
            page = self._page_at_once()
            if page is not None:
                return self._result(page, shown_with(page, self._replies))
        return self._in_steps(reads_rows)

    def _page_at_once(self) -> Page | None:
        """Of what each shard found by itself; None where that does not say it."""
        if any(reply.rows is None for reply in self._replies.values()):
            return None
        if not self._gathers or len(self._replies) == 1 == len(self._shards.names):
            return self._merging.page(self._replies)
        if not self._is_nearest_first:
            return None
        gathered = {shard: Gathered.decode(reply.gathered) for shard, reply in self._replies.items()}
        [cut] = known_of(list(gathered.values()), self._top_ks).cuts
        near = self._plan.root.condition
        assert isinstance(near, Near)
        kept = {}
        for shard, of in gathered.items():
            distances, keys = of.neighbours[0]
            scores = weighted(similarity(distances.astype(np.float32), near.metric), near.weight).tolist()
            are_kept = within(of.neighbours[0], cut).tolist()
            kept[shard] = {key: score for key, score, is_kept in zip(keys, scores, are_kept, strict=True) if is_kept}
        return self._merging.page_of(self._replies, kept)

    # --- several steps ----------------------------------------------------------------------------------------------

    def _in_steps(self, reads_rows: bool) -> SearchResult:
        self._replies = {}
        if self._gathers:
            for shard, reply in self._begin(ShardStep.GATHER).items():
                self._sessions[shard], self._gathered[shard] = reply.session, Gathered.decode(reply.gathered)
        else:
            self._note(self._begin(ShardStep.COLLECT, reads_rows))
        while True:
            self._collect(reads_rows)
            if len(self._replies) < len(self._asked):
                continue
            page = self._merging.page(self._replies)
            if all(reply.rows is not None for reply in self._replies.values()):
                return self._result(page, shown_with(page, self._replies))
            shown = self._fetch(page)
            if shown is not None:
                return self._result(page, shown)

    def _collect(self, reads_rows: bool) -> None:
        """Asks those shards that have no reply yet; one may have none after it either."""
        known = b""
        if self._gathers:
            known = known_of([self._gathered[shard] for shard in self._asked], self._top_ks).encode()
        calls = {
            shard: ShardCall(ShardStep.COLLECT, session=self._sessions[shard], known=known, reads_rows=reads_rows)
            for shard in self._asked
            if shard not in self._replies
        }
        if calls:
            self._note(self._ask(calls))

    def _note(self, collected: Mapping[int, ShardReply]) -> None:
        for shard, reply in collected.items():
            self._sessions[shard], self._replies[shard] = reply.session, reply
        self._note_behind(collected)

    def _fetch(self, page: Page) -> dict[Home, Shown] | None:
        """What is shown of the hits of a page; None where it turns out to be another page."""
        chosen: dict[int, list[int]] = {}
        for shard, number in page.homes:
            chosen.setdefault(shard, []).append(number)
        calls = {
            shard: ShardCall(ShardStep.FETCH, session=self._sessions[shard], chosen=tuple(numbers))
            for shard, numbers in chosen.items()
        }
        found = self._ask(calls) if calls else {}
        if len(found) < len(calls) or self._note_behind(found):
            return None
        return {
            home: shown
            for shard, reply in found.items()
            for home, shown in zip(
                [(shard, one) for one in chosen[shard]], shown_of(reply, len(chosen[shard])), strict=True
            )
        }

    def _note_behind(self, found: Mapping[int, ShardReply]) -> bool:
        """Takes note of shards whose rows are gone; whether there are any."""
        behind = {shard: reply for shard, reply in found.items() if reply.is_behind}
        for shard, reply in behind.items():
            self._replies.pop(shard, None)
            if self._gathers:
                self._gathered[shard] = Gathered.decode(reply.gathered)
        if behind and self._gathers:
            self._replies = {}  # what is known of all is another thing now
        return bool(behind)

    # --- asking -----------------------------------------------------------------------------------------------------

    def _begin(self, step: ShardStep, reads_rows: bool = True) -> dict[int, ShardReply]:
        """Makes the first step of a search, in all shards there are."""
        self._rounds += 1
        left_ms = max(1, int(self._deadline.left_s * 1_000))
        request = replace(self._request, timeout_ms=left_ms)
        answers = self._shards.begin(ShardCall(step, request, self._plan.seed, reads_rows=reads_rows))
        self._asked = list(range(len(answers)))
        return self._answered(dict(enumerate(answers)))

    def _ask(self, calls: Mapping[int, ShardCall]) -> dict[int, ShardReply]:
        """Makes a later step, in some of them."""
        if self._rounds == ROUNDS_MAX:
            raise ServerBusy("rows that the search finds are deleted faster than it finds others, try again")
        self._rounds += 1
        return self._answered(self._shards.ask(calls))

    def _answered(self, answers: Mapping[int, ShardReply | LutraError]) -> dict[int, ShardReply]:
        """Raises what a shard did, but for those that are away and may be."""
        errors = {shard: answer for shard, answer in answers.items() if isinstance(answer, LutraError)}
        for error in errors.values():
            if not self._request.allow_partial or not isinstance(error, _AWAY):
                raise error
        self._asked = [shard for shard in self._asked if shard not in errors]
        for shard, error in errors.items():
            self._replies.pop(shard, None)
            if not self._asked:
                raise error
        return {shard: answer for shard, answer in answers.items() if isinstance(answer, ShardReply)}

    # --- the answer -------------------------------------------------------------------------------------------------

    def _result(self, page: Page, shown: Mapping[Home, Shown]) -> SearchResult:
        merging, replies = self._merging, self._replies
        is_whole = len(self._asked) == len(self._shards.names)
        result = merging.result(page, shown, replies, is_whole)
        if self._request.explain:
            names = self._shards.names
            told = {names[shard]: reply.stats.explanation or {} for shard, reply in sorted(replies.items())}
            result.stats.explanation = {
                "us": round((time.perf_counter() - self._began_s) * 1e6, 1),
                "rounds": self._rounds,
                "shards": [
                    {"name": name, "us": one.get("us"), "parts": len(one.get("parts", ()))}
                    for name, one in told.items()
                ],
                "parts": [{"shard": name, **part} for name, one in told.items() for part in one.get("parts", ())],
            }
            if result.aggregated is not None:
                us = merging.aggregating_us + sum(reply.aggregating_us for reply in replies.values())
                result.stats.explanation["aggregations"] = told_of(result.aggregated, us)
        return result
