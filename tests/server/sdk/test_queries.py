"""Every query the server knows, alone and within Bool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load
from support.searching import BY_SCORE, field, ids, scores, search
from support.tables import TableMaker
from tablestore import (
    BoolQuery,
    ExistsQuery,
    FieldType,
    MatchAllQuery,
    MatchPhraseQuery,
    MatchQuery,
    PrefixQuery,
    RangeQuery,
    TermQuery,
    TermsQuery,
    WildcardQuery,
)

COUNT = 20
JUNE_1_MS = 1_780_272_000_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Indexed:
    """Rows 0 to 19; ``few`` is there from 15 on."""

    table: str
    index: str

    def numbers(self, client: SdkClient, query: Any) -> list[int]:
        return [int(name) for name in ids(search(client, self.table, self.index, query))]


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table()
    for_each = [
        (
            [("id", f"{n:02d}")],
            {
                "n": n,
                "half": n / 2,
                "three": n % 3 == 0,
                "color": ["red", "green", "grey"][n % 3],
                "tags": f'["t{n % 4}", "all"]',
                "day": f"2026-06-{n + 1:02d}",
            }
            | ({"few": n} if n >= 15 else {}),
        )
        for n in range(COUNT)
    ]
    load(sync_client, table, for_each)
    index = make_for_module.index(
        table,
        [
            field("n", FieldType.LONG),
            field("half", FieldType.DOUBLE),
            field("three", FieldType.BOOLEAN),
            field("color", FieldType.KEYWORD),
            field("tags", FieldType.KEYWORD, is_array=True),
            field("day", FieldType.DATE, date_formats=["yyyy-MM-dd", "epoch_millis"]),
            field("few", FieldType.LONG),
        ],
    )
    return Indexed(table, index)


def _where(predicate: Any) -> list[int]:
    return [n for n in range(COUNT) if predicate(n)]


CASES = {
    "match all": (MatchAllQuery(), lambda n: True),
    "term long": (TermQuery("n", 7), lambda n: n == 7),
    "term double": (TermQuery("half", 3.5), lambda n: n == 7),
    "term double by integer": (TermQuery("half", 3), lambda n: n == 6),
    "term boolean": (TermQuery("three", True), lambda n: n % 3 == 0),
    "term keyword": (TermQuery("color", "red"), lambda n: n % 3 == 0),
    "term is exact": (TermQuery("color", "re"), lambda n: False),
    "term array": (TermQuery("tags", "t1"), lambda n: n % 4 == 1),
    "term date": (TermQuery("day", "2026-06-08"), lambda n: n == 7),
    "term date in ms": (TermQuery("day", JUNE_1_MS + 7 * DAY_MS), lambda n: n == 7),
    "terms": (TermsQuery("n", [3, 5, 99]), lambda n: n in (3, 5)),
    "terms keyword": (TermsQuery("color", ["red", "grey"]), lambda n: n % 3 != 1),
    "terms array": (TermsQuery("tags", ["t0", "t3"]), lambda n: n % 4 in (0, 3)),
    "range": (RangeQuery("n", 5, 8), lambda n: 5 <= n < 8),
    "range inclusive": (RangeQuery("n", 5, 8, True, True), lambda n: 5 <= n <= 8),
    "range exclusive": (RangeQuery("n", 5, 8, False, False), lambda n: 5 < n < 8),
    "range from": (RangeQuery("n", range_from=15), lambda n: n >= 15),
    "range to": (RangeQuery("n", range_to=3), lambda n: n < 3),
    "range double": (RangeQuery("half", 1.5, 2.5, True, True), lambda n: 3 <= n <= 5),
    "range keyword": (RangeQuery("color", "gree", "grf"), lambda n: n % 3 != 0),
    "range date": (RangeQuery("day", "2026-06-03", "2026-06-05"), lambda n: n in (2, 3)),
    "range empty": (RangeQuery("n", 8, 5), lambda n: False),
    "prefix": (PrefixQuery("color", "gr"), lambda n: n % 3 != 0),
    "prefix array": (PrefixQuery("tags", "t"), lambda n: True),
    "prefix of nothing": (PrefixQuery("color", ""), lambda n: True),
    "wildcard": (WildcardQuery("color", "gr?*y"), lambda n: n % 3 == 2),
    "wildcard array": (WildcardQuery("tags", "?3"), lambda n: n % 4 == 3),
    "match of a keyword": (MatchQuery("color", "grey"), lambda n: n % 3 == 2),
    "phrase of a keyword": (MatchPhraseQuery("tags", "t1"), lambda n: n % 4 == 1),
    "exists": (ExistsQuery("few"), lambda n: n >= 15),
}


@pytest.mark.parametrize("name", CASES)
def test_alone(client: SdkClient, rows: Indexed, name: str) -> None:
    query, predicate = CASES[name]
    assert rows.numbers(client, query) == _where(predicate)


@pytest.mark.parametrize("name", CASES)
def test_in_each_part_of_a_bool(client: SdkClient, rows: Indexed, name: str) -> None:
    query, predicate = CASES[name]
    expected = _where(predicate)
    assert rows.numbers(client, BoolQuery(must_queries=[query])) == expected
    assert rows.numbers(client, BoolQuery(filter_queries=[query])) == expected
    assert rows.numbers(client, BoolQuery(should_queries=[query])) == expected
    assert rows.numbers(client, BoolQuery(must_not_queries=[query])) == _where(lambda n: not predicate(n))


def test_all_parts_of_a_bool(client: SdkClient, rows: Indexed) -> None:
    query = BoolQuery(
        must_queries=[RangeQuery("n", 2, 16)],
        must_not_queries=[TermQuery("color", "red"), TermQuery("n", 5)],
        filter_queries=[TermsQuery("tags", ["t0", "t1"])],
        should_queries=[TermQuery("n", 8)],
    )
    matching = _where(lambda n: 2 <= n < 16 and n % 3 != 0 and n != 5 and n % 4 in (0, 1))
    assert rows.numbers(client, query) == matching
    nested = BoolQuery(must_queries=[query], must_not_queries=[BoolQuery(filter_queries=[RangeQuery("n", 10)])])
    assert rows.numbers(client, nested) == [n for n in matching if n < 10]


@pytest.mark.parametrize(
    ("minimum", "needed"),
    [
        (None, 1),
        (0, 1),
        (1, 1),
        (2, 2),
        (3, 3),
        (4, None),
        (-1, 2),
        ("2", 2),
        ("75%", 2),
        ("-40%", 2),
        ("-1", 2),
        ("2<67%", 2),
        ("5<1", 3),
    ],
)
def test_minimum_should_match(client: SdkClient, rows: Indexed, minimum: int | str | None, needed: int | None) -> None:
    """``needed`` of three; None means more than there are."""
    should = [TermQuery("three", True), TermQuery("tags", "t0"), RangeQuery("n", 10)]
    query = BoolQuery(should_queries=should, minimum_should_match=minimum)

    def met(n: int) -> int:
        return (n % 3 == 0) + (n % 4 == 0) + (n >= 10)

    assert rows.numbers(client, query) == _where(lambda n: needed is not None and met(n) >= needed)


def test_should_beside_must_only_scores(client: SdkClient, rows: Indexed) -> None:
    query = BoolQuery(must_queries=[RangeQuery("n", 0, 4)], should_queries=[TermQuery("n", 2)])
    response = search(client, rows.table, rows.index, query, sort=BY_SCORE)
    assert sorted(ids(response)) == ["00", "01", "02", "03"]
    assert ids(response)[0] == "02"
    assert scores(response)[0] > scores(response)[1]


def test_weights(client: SdkClient, rows: Indexed) -> None:
    def score(query: Any) -> float:
        [value] = scores(search(client, rows.table, rows.index, query, sort=BY_SCORE))
        return value

    plain = score(TermQuery("n", 2))
    assert plain > 0
    assert score(TermQuery("n", 2, weight=3.0)) == pytest.approx(3 * plain)
    doubled = BoolQuery(must_queries=[TermQuery("n", 2)], weight=2.0)
    assert score(doubled) == pytest.approx(2 * plain)
    both = BoolQuery(must_queries=[TermQuery("n", 2), TermQuery("half", 1.0)])
    assert score(both) == pytest.approx(plain + score(TermQuery("half", 1.0)))


def test_scores_are_not_a_number_unless_sorted_by(client: SdkClient, rows: Indexed) -> None:
    response = search(client, rows.table, rows.index, TermQuery("three", True))
    assert all(math.isnan(score) for score in scores(response))
    response = search(client, rows.table, rows.index, TermQuery("three", True), sort=BY_SCORE)
    assert all(score > 0 for score in scores(response))


BAD_QUERIES = {
    "absent field": TermQuery("absent", 1),
    "absent field in bool": BoolQuery(should_queries=[MatchAllQuery(), ExistsQuery("absent")]),
    "text for a number": TermQuery("n", "seven"),
    "number for a keyword": TermQuery("color", 1.5),
    "number for a boolean": TermQuery("three", 1),
    "text that is no date": TermQuery("day", "June"),
    "binary": TermQuery("color", bytearray(b"red")),
    "no terms": TermsQuery("n", []),
    "too many terms": TermsQuery("n", list(range(1_025))),
    "one bad term": TermsQuery("n", [1, "x"]),
    "range of another type": RangeQuery("n", "a", "b"),
    "prefix of a number": PrefixQuery("n", "1"),
    "prefix too long": PrefixQuery("color", "x" * 1_001),
    "wildcard of a number": WildcardQuery("n", "1*"),
    "wildcard too long": WildcardQuery("color", "x" * 33),
    "match of a number": MatchQuery("n", "1"),
    "phrase of a number": MatchPhraseQuery("n", "1"),
    "too many queries": BoolQuery(should_queries=[TermQuery("n", n) for n in range(1_025)]),
    "negative weight": TermQuery("n", 1, weight=-1.0),
    "weight that is no number": TermQuery("n", 1, weight=math.nan),
    "minimum that is none": BoolQuery(should_queries=[MatchAllQuery()], minimum_should_match="many"),
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_queries_that_are_none(client: SdkClient, rows: Indexed, name: str) -> None:
    with invalid():
        rows.numbers(client, BAD_QUERIES[name])


def test_queries_nested_too_deep(client: SdkClient, rows: Indexed) -> None:
    query: Any = MatchAllQuery()
    for _ in range(200):
        query = BoolQuery(must_queries=[query])
    with invalid():
        rows.numbers(client, query)
