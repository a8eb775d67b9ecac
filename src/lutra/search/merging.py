"""What shards have collected, merged to one page, and what comes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lutra.kernels.plainbuffer import measure_row
from lutra.model import limits
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.nested import InnerHitsByPath
from lutra.model.queries import Fragments, ReturnColumns, SearchRequest, SearchResult, SearchStats
from lutra.model.rows import Row
from lutra.model.shards import ShardReply
from lutra.search.aggregations import AggregationCollector
from lutra.search.collecting import firsts_of
from lutra.search.collectors.count import CountCollector
from lutra.search.collectors.run import SentRun
from lutra.search.collectors.top import Place, Top, Value
from lutra.search.deadline import check_found
from lutra.search.executor import goes_on, next_token
from lutra.search.inner_hits import too_many_inner_hits
from lutra.search.plan import Plan

Home = tuple[int, int]
"""A shard, and the number that a hit has there."""


class Shown(NamedTuple):
    """What a page has of a hit, beside its score."""

    row: Row | None
    fragments: Fragments
    inner: InnerHitsByPath


@dataclass(frozen=True, slots=True)
class Page:
    """Its hits are ``places`` of ``top``, in order, from their ``homes``."""

    top: Top
    places: Sequence[Place]
    homes: Sequence[Home]


class Merging:
    """Of one search. All methods raise Corruption for replies that make no sense."""

    def __init__(self, plan: Plan, request: SearchRequest) -> None:
        self._plan = plan
        self._request = request
        self._firsts = firsts_of(plan)
        self._aggregator = AggregationCollector(plan.aggregations)

    @property
    def aggregating_us(self) -> float:
        """What merging aggregations took."""
        return self._aggregator.took_us

    def page(self, replies: Mapping[int, ShardReply]) -> Page:
        """Of what shards have collected, knowing of each other what they have to."""
        return self._page({shard: (self._firsts.decode(reply.hits), None) for shard, reply in replies.items()}, replies)

    def page_of(self, replies: Mapping[int, ShardReply], kept: Mapping[int, Mapping[bytes, float]]) -> Page | None:
        """Of what shards have collected by themselves, the nearest first: of those only the ones whose keys are
        ``kept``, by shard with their scores, are neighbours of all.

        None where it is not known which they are: what a shard sent ends with some that are not, and it has others that
        are, which score the same though they are nearer.
        """
        tops = {}
        for shard, reply in replies.items():
            top = self._firsts.decode(reply.hits)
            numbers = None
            for run in top.runs:
                every, own = range(len(run)), kept[shard]
                keys, last = run.keys(every), run.scores([len(run) - 1])[0]
                numbers = [number for number, key in enumerate(keys) if key in own]
                if len(numbers) < len(run) < top.left:
                    sent = set(keys)
                    if any(score == last for key, score in own.items() if key not in sent):
                        return None
            tops[shard] = top, numbers
        return self._page(tops, replies)

    def _page(self, tops: Mapping[int, tuple[Top, list[int] | None]], replies: Mapping[int, ShardReply]) -> Page:
        states, numbers_of_runs = [], []
        for shard, (top, kept) in sorted(tops.items()):
            rows = replies[shard].rows
            for run in top.runs:
                numbers = list(range(len(run))) if kept is None else kept
                if rows is not None:
                    if len(rows) != len(run):
                        raise Corruption(f"a shard has sent {len(rows)} rows of {len(run)} hits")
                    numbers = [number for number in numbers if rows[number] is not None]
                numbers_of_runs.append((shard, numbers))
                if len(numbers) < len(run):
                    top = _only(top, numbers)
            states.append(top)
        together = self._firsts.merge(states)
        places = self._firsts.places(together, self._plan.offset, self._plan.limit)
        homes = [(numbers_of_runs[run][0], numbers_of_runs[run][1][at]) for run, at in places]
        return Page(together, places, homes)

    def result(
        self, page: Page, shown: Mapping[Home, Shown], replies: Mapping[int, ShardReply], is_whole: bool
    ) -> SearchResult:
        """The answer, its `RowsResult`s without rows, and without an explanation. ``is_whole``: no shard is left out.

        Raises ParameterInvalid where it has too many rows, inner hits or groups, RequestTimeout where time was up
        before any neighbour was found.
        """
        plan, request = self._plan, self._request
        is_complete = is_whole and all(reply.is_complete for reply in replies.values())
        if is_whole:
            check_found([plan], [(len(page.places), is_complete)])
        places = [place for place, home in zip(page.places, page.homes, strict=True) if shown[home].row is not None]
        found = [shown[home] for home in page.homes if shown[home].row is not None]
        rows = [one.row for one in found if one.row is not None]
        self._check_size(rows, found)
        scores = [page.top.runs[run].scores([at])[0] for run, at in places]
        result = SearchResult(rows, scores, is_complete=is_complete)
        if request.count_total:
            most = request.count_max
            result.total = CountCollector().merge([reply.total for reply in replies.values()])
            result.total = result.total if most is None else min(result.total, most)
        result.stats = SearchStats.of([part for _, reply in sorted(replies.items()) for part in reply.stats.parts])
        if request.highlight is not None:
            result.highlights = [one.fragments for one in found]
        if plan.inner_hits:
            result.inner_hits = [one.inner for one in found]
        if plan.aggregations:
            levels = [self._aggregator.decode(reply.aggregated) for _, reply in sorted(replies.items())]
            result.aggregated = self._aggregator.results(self._aggregator.merge(levels))
        if goes_on(plan, len(places), page.top.left, is_complete):
            result.next_token = next_token(plan, page.top, places[-1])
        return result

    def _check_size(self, rows: Sequence[Row], found: Sequence[Shown]) -> None:
        """Raises ParameterInvalid for more than an answer has."""
        if self._request.columns.kind is not ReturnColumns.NONE:
            size_bytes = sum(measure_row(row.key, row.cells, 0) for row in rows)
            if size_bytes > limits.ANSWER_BYTES_MAX:
                raise ParameterInvalid(
                    f"The rows of this Search exceed {limits.ANSWER_BYTES_MAX} bytes together: ask for fewer at a time."
                )
        if sum(_count_of(one.inner) for one in found) > limits.ANSWER_INNER_HITS_MAX:
            raise too_many_inner_hits()


def shown_with(page: Page, replies: Mapping[int, ShardReply]) -> dict[Home, Shown]:
    """What came with the hits of a page when they were collected."""
    of = {shard: shown_of(replies[shard]) for shard in {shard for shard, _ in page.homes}}
    return {(shard, number): of[shard][number] for shard, number in page.homes}


def shown_of(reply: ShardReply, count: int | None = None) -> list[Shown]:
    """Of each row of a reply, of which there are so many. Raises Corruption."""
    rows = reply.rows or []
    fragments: Sequence[Fragments] = reply.highlights or [{}] * len(rows)
    inner: Sequence[InnerHitsByPath] = reply.inner_hits or [{}] * len(rows)
    if not len(rows) == len(fragments) == len(inner) or count not in (None, len(rows)):
        raise Corruption("a shard has sent other rows than it was asked for")
    return list(map(Shown, rows, fragments, inner))


def _only(top: Top, numbers: Sequence[int]) -> Top:
    """Only some of the hits of a state of one run that was sent."""
    [run] = top.runs
    assert isinstance(run, SentRun)
    values: list[list[Value]] = [[own[number] for number in numbers] for own in top.values]
    return Top((SentRun([run.hits[number] for number in numbers], run.order),), top.left, values)


def _count_of(inner: InnerHitsByPath) -> int:
    return sum(len(hits) + sum(_count_of(hit.inner) for hit in hits) for hits in inner.values())
