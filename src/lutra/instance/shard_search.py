"""A search in one shard, step by step: what `lutra.search.shard` finds in the view, and the rows of it that are there.

Rows that are gone are left out of the view, as in `lutra.instance.living`. Where others have been told what this shard
had gathered, they are told anew, before it collects again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from lutra.index.lsm.view import IndexView
from lutra.instance.highlighter import Shown
from lutra.instance.living import Living
from lutra.instance.sessions import Sessions
from lutra.model import limits
from lutra.model.deadline import Deadline, current_deadline
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.queries import Hit, SearchRequest
from lutra.model.rows import Row
from lutra.model.shards import ShardCall, ShardReply, ShardStep
from lutra.search import Answer
from lutra.search.deadline import in_time
from lutra.search.gathered import Known
from lutra.search.shard import ShardSearch

_ALIVE_S: Final = (limits.SEARCH_TIMEOUT_MS_MAX + limits.SEARCH_FINISHING_MS_MAX) / 1_000
"""So long a session is kept that is in the middle of a search: none takes longer."""
_ANSWERED_S: Final = 1.0
"""And so long one that may be done: another shard may have rows that are gone."""


class ShardRows(Protocol):
    """The rows of the shard's table."""

    def read(self, hits: list[Hit], request: SearchRequest, shown: Shown) -> list[Row | None]:
        """Of hits, as the request shows them; None where there is none. Raises ParameterInvalid for too many bytes."""

    def are_gone(self, hits: list[Hit]) -> list[bool]: ...


class ShardSearching:
    """One search. Its steps take turns."""

    def __init__(
        self, view: IndexView, call: ShardCall, deadline: Deadline, rows: ShardRows, is_complete: bool = True
    ) -> None:
        """``call``: its first, which has the request. ``is_complete``: whether the view is as new as that wants it.

        Raises ParameterInvalid.
        """
        assert call.request is not None
        self._lock = threading.Lock()
        self._request = call.request
        self._seed = call.seed
        self._deadline = deadline
        self._rows = rows
        self._is_complete = is_complete
        # Where rows are read with the hits, those that the offset skips are among them.
        living = replace(call.request, offset=0) if call.reads_rows else call.request
        self._living = Living(view, living, rows.are_gone)
        self._search: ShardSearch | None = ShardSearch(view, self._request, self._seed, deadline)
        """The next to collect; None: another is made."""
        self._last: tuple[ShardSearch, Answer] | None = None
        """What was collected last."""

    def whole(self) -> ShardReply:
        """All in one step. Raises RequestTimeout, Corruption, StorageFailure, RowDamaged."""
        while True:
            search = self._next()
            answer, reply = self._collected(search)
            if reply.rows is None or not self._loses(answer, range(len(answer.hits)), reply.rows):
                reply.gathered = search.gathered.encode()
                return reply

    def gather(self) -> ShardReply:
        """Raises as `whole`."""
        with self._lock:
            self._search = self._next()
            return ShardReply(gathered=self._search.gathered.encode())

    def collect(self, call: ShardCall) -> ShardReply:
        """Raises as `whole`."""
        with self._lock:
            search = self._next()
            if call.known:
                search.learn(Known.decode(call.known))
            answer, reply = self._collected(search, call.reads_rows)
            self._last = search, answer
            if reply.rows is not None and self._loses(answer, range(len(answer.hits)), reply.rows):
                return self._behind()
            return reply

    def fetch(self, call: ShardCall) -> ShardReply:
        """Raises as `whole`, and Corruption where there are no such hits."""
        with self._lock:
            if self._last is None or not all(0 <= one < len(self._last[1].hits) for one in call.chosen):
                raise Corruption("a shard is asked for hits that it has not found")
            search, answer = self._last
            shown = Shown(self._living.view.schema, self._request)
            reply = ShardReply()
            reply.rows = self._rows.read([answer.hits[one] for one in call.chosen], self._request, shown)
            if self._loses(answer, call.chosen, reply.rows):
                return self._behind()
            self._show(search, answer, call.chosen, shown, reply)
            return reply

    def _next(self) -> ShardSearch:
        search, self._search = self._search, None
        return search or ShardSearch(self._living.view, self._request, self._seed, self._deadline)

    def _collected(self, search: ShardSearch, reads_rows: bool = True) -> tuple[Answer, ShardReply]:
        answer = search.collect()
        sent = search.sent()
        reply = ShardReply(
            hits=sent.hits,
            total=answer.total,
            aggregated=sent.aggregated,
            aggregating_us=sent.aggregating_us,
            stats=answer.stats,
            is_complete=answer.is_complete and self._is_complete,
        )
        if reads_rows:
            shown = Shown(self._living.view.schema, self._request)
            try:
                reply.rows = self._rows.read(answer.hits, self._request, shown)
                self._show(search, answer, range(len(answer.hits)), shown, reply)
            except ParameterInvalid:
                # More than an answer has: the page of all shards, of which not all of this is, may have less.
                reply.rows = None
        return answer, reply

    def _show(
        self, search: ShardSearch, answer: Answer, numbers: Sequence[int], shown: Shown, reply: ShardReply
    ) -> None:
        """Adds what is shown beside the rows of ``reply``, which are those of some hits."""
        rows = reply.rows or []
        there = [row for row in rows if row is not None]
        if len(there) < len(rows) and answer.is_complete:
            return  # it is collected again
        inner = search.inner_hits([answer.documents[number] for number in numbers])
        fragments = iter(shown.fragments(there))
        if self._request.highlight is not None:
            reply.highlights = [{} if row is None else next(fragments) for row in rows]
        if inner:
            known = iter(
                shown.inner_hits(there, [own for own, row in zip(inner, rows, strict=True) if row is not None])
            )
            reply.inner_hits = [{} if row is None else next(known) for row in rows]

    def _loses(self, answer: Answer, numbers: Sequence[int], rows: Sequence[Row | None]) -> bool:
        """Whether rows are gone, so that it is to be collected again; nor is there time to where it is not complete."""
        if not answer.is_complete:
            return False
        return self._living.loses([answer.documents[number] for number in numbers], [row is None for row in rows])

    def _behind(self) -> ShardReply:
        self._last = None
        self._search = ShardSearch(self._living.view, self._request, self._seed, self._deadline)
        return ShardReply(is_behind=True, gathered=self._search.gathered.encode())


class ShardSearches:
    """The searches of one data directory that are in the middle of their steps. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: Sessions[ShardSearching] = Sessions("lutra-shards")

    def __len__(self) -> int:
        return len(self._sessions)

    def answer(
        self, source: object, view: IndexView, call: ShardCall, rows: ShardRows, is_complete: bool = True
    ) -> ShardReply:
        """One step of a search of ``view``, which is what ``source`` shows now.

        Raises ParameterInvalid, RequestTimeout, SessionExpired, StorageFailure, Corruption, RowDamaged.
        """
        request = call.request
        if request is None:
            searching = self._sessions.get(call.session, source, _ALIVE_S)
            reply = in_time(None, lambda _: _stepped(searching, call))
            reply.session = call.session
        else:

            def begin(deadline: Deadline) -> ShardReply:
                searching = ShardSearching(view, call, deadline, rows, is_complete)
                if call.step is ShardStep.WHOLE:
                    return searching.whole()
                session = self._sessions.begin(source, searching, _ALIVE_S)
                self._sessions.end_oldest(limits.SHARD_SESSIONS_MAX)
                reply = searching.gather() if call.step is ShardStep.GATHER else _stepped(searching, call)
                reply.session = session
                return reply

            reply = in_time(request.timeout_ms, begin)
        if reply.session and reply.rows is not None and not reply.is_behind:
            self._sessions.shorten(reply.session, _ANSWERED_S)
        return reply

    def drop(self, source: object) -> None:
        """Ends those of an index that is no more."""
        self._sessions.drop(source)

    def close(self) -> None:
        """Ends all."""
        self._sessions.close()


def _stepped(searching: ShardSearching, call: ShardCall) -> ShardReply:
    current_deadline().check()
    if call.step is ShardStep.COLLECT:
        return searching.collect(call)
    if call.step is ShardStep.FETCH:
        return searching.fetch(call)
    raise Corruption(f"a search is in its middle where it is asked to {call.step.name}")
