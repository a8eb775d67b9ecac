"""What the table is asked: by name, many requests of a kind, each as the official SDK makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import tablestore as ots
from tablestore import OTSClient

from bench.search_api.rows import CITIES, COLOURS, FIRST_MS, KINDS, PARTS, YEARS_MS, Rows, kind_of, part_of

TABLE: Final = "things"
INDEX: Final = "things_index"
LIMIT: Final = 10
BY_SCORE: Final = ots.Sort([ots.ScoreSort()])
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Question:
    """``asked``: what makes it up, for whoever answers it beside Lutra."""

    query: ots.SearchQuery
    asked: Any = None

    def send(self, client: OTSClient) -> Any:
        """The SDK's answer."""
        columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)
        return client.search(TABLE, INDEX, self.query, columns)


def _query(query: Any, **options: Any) -> ots.SearchQuery:
    return ots.SearchQuery(query, **{"limit": LIMIT, "get_total_count": False} | options)


def questions_of(rows: Rows, count: int) -> dict[str, list[Question]]:
    """``count`` of each kind."""
    makers: dict[str, Callable[[np.random.Generator, Rows], Question]] = {
        "term": term,
        "range": in_range,
        "bool of three": three_clauses,
        "match, top 10": match,
        "phrase": phrase,
        "geo distance": geo_distance,
        "nested": nested,
        "date histogram": date_histogram,
        "group by, 1,000 groups": group_by,
        "group by, sum and average": group_by_sums,
        "knn": knn,
        "knn + match + filter": hybrid,
    }
    return {
        name: [make(np.random.default_rng((number, i)), rows) for i in range(count)]
        for number, (name, make) in enumerate(makers.items())
    }


def term(random: np.random.Generator, rows: Rows) -> Question:
    kind = kind_of(int(random.integers(KINDS)))
    return Question(_query(ots.TermQuery("kind", kind)), kind)


def _span(random: np.random.Generator, rows: Rows) -> tuple[int, int]:
    """A hundredth of the numbers."""
    width = max(1, rows.count // 100)
    low = int(random.integers(rows.count - width + 1))
    return low, low + width


def _within(span: tuple[int, int]) -> ots.RangeQuery:
    return ots.RangeQuery("n", span[0], span[1], include_lower=True, include_upper=False)


def in_range(random: np.random.Generator, rows: Rows) -> Question:
    span = _span(random, rows)
    return Question(_query(_within(span)), span)


def three_clauses(random: np.random.Generator, rows: Rows) -> Question:
    """A colour in a price range, not of some kind: some three in a hundred rows."""
    colour, kind = str(random.choice(COLOURS)), kind_of(int(random.integers(KINDS)))
    low = float(random.uniform(5, 30))
    price = ots.RangeQuery("price", low, low * 1.5, include_lower=True, include_upper=True)
    query = ots.BoolQuery(
        must_queries=[ots.TermQuery("colour", colour), price], must_not_queries=[ots.TermQuery("kind", kind)]
    )
    return Question(_query(query), (colour, low, low * 1.5, kind))


def _words(random: np.random.Generator, rows: Rows, count: int, in_a_row: bool) -> list[str]:
    """Out of a text."""
    while True:
        words = rows.texts[int(random.integers(rows.count))].split()
        if len(words) >= count:
            return words[:count] if in_a_row else [str(word) for word in random.choice(words, count, replace=False)]


def match(random: np.random.Generator, rows: Rows) -> Question:
    words = _words(random, rows, 2, False)
    return Question(_query(ots.MatchQuery("text", " ".join(words)), sort=BY_SCORE), words)


def phrase(random: np.random.Generator, rows: Rows) -> Question:
    words = _words(random, rows, 2, True)
    return Question(_query(ots.MatchPhraseQuery("text", " ".join(words)), sort=BY_SCORE), words)


def geo_distance(random: np.random.Generator, rows: Rows) -> Question:
    """Ten kilometres around a place near a city."""
    lat, lon = np.round(np.array(CITIES[int(random.integers(len(CITIES)))]) + random.normal(0, 0.5, 2), 4).tolist()
    return Question(_query(ots.GeoDistanceQuery("place", f"{lat},{lon}", 10_000)), (lat, lon, 10_000))


def nested(random: np.random.Generator, rows: Rows) -> Question:
    """A part, and many of it."""
    part, least = part_of(int(random.integers(PARTS))), int(random.integers(20, 80))
    amount = ots.RangeQuery("items.amount", least, None, include_lower=True)
    both = ots.BoolQuery(must_queries=[ots.TermQuery("items.part", part), amount])
    return Question(_query(ots.NestedQuery("items", both, ots.ScoreMode.NONE)), (part, least))


def date_histogram(random: np.random.Generator, rows: Rows) -> Question:
    """Rows of a colour, month by month."""
    colour = str(random.choice(COLOURS))
    month = ots.DateTimeValue(1, ots.DateTimeUnit.MONTH)
    groups = ots.GroupByDateHistogram("at", month, name="months", min_doc_count=1)
    query = _query(ots.TermQuery("colour", colour), limit=0, group_bys=[groups])
    return Question(query, colour)


def group_by(random: np.random.Generator, rows: Rows) -> Question:
    """Rows of a tenth of the time, by kind."""
    first = FIRST_MS + int(random.integers(YEARS_MS * 9 // 10))
    span = ots.RangeQuery("at", first, first + YEARS_MS // 10, include_lower=True, include_upper=False)
    groups = ots.GroupByField("kind", size=KINDS, name="kinds")
    return Question(_query(span, limit=0, group_bys=[groups]), (first, first + YEARS_MS // 10))


def group_by_sums(random: np.random.Generator, rows: Rows) -> Question:
    """All rows by colour, with the sum and the average of prices."""
    sums = [ots.Sum("price", name="sum"), ots.Avg("price", name="average")]
    groups = ots.GroupByField("colour", size=len(COLOURS), sub_aggs=sums, name="colours")
    low = float(random.uniform(0, 5))
    query = ots.RangeQuery("price", low, None, include_lower=True)
    return Question(_query(query, limit=0, group_bys=[groups]), low)


def _near(random: np.random.Generator, rows: Rows, filter: Any = None) -> ots.KnnVectorQuery:
    vector = rows.vectors(rows.count + int(random.integers(1 << 30)), 1)[0]
    return ots.KnnVectorQuery("embedding", LIMIT, vector.tolist(), filter)


def knn(random: np.random.Generator, rows: Rows) -> Question:
    return Question(_query(_near(random, rows), sort=BY_SCORE))


def hybrid(random: np.random.Generator, rows: Rows) -> Question:
    """Near, or with the words, among the rows of a colour."""
    colour = ots.TermQuery("colour", str(random.choice(COLOURS)))
    words = ots.MatchQuery("text", " ".join(_words(random, rows, 2, False)))
    query = ots.BoolQuery(should_queries=[_near(random, rows, colour), words], filter_queries=[colour])
    return Question(_query(query, sort=BY_SCORE))


def sends(questions: list[Question]) -> list[Callable[[OTSClient], object]]:
    """As `bench.prepared.record` takes them."""
    return [partial(Question.send, question) for question in questions]
