"""Requests as the Java SDK 5.17.10 builds them, byte for byte: what it alone can send, and what it leaves out."""

from __future__ import annotations

import math

import pytest

from lutra.model.aggregations import (
    DateTimeUnit,
    DateTimeValue,
    GroupByComposite,
    GroupByDateHistogram,
    GroupByField,
    GroupByGeoGrid,
    GroupByHistogram,
    GroupByRange,
)
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldType, IndexUpdate, JsonType
from lutra.model.nested import InnerHits, Nested, ScoreMode
from lutra.model.queries import DocSort, Exists, KnnVector, MatchAll, Query, SearchRequest, Term
from lutra.model.scoring import (
    DateOrigin,
    Decay,
    DecayShape,
    FunctionsScore,
    GeoOrigin,
    ManyMode,
    NumberOrigin,
    RandomScore,
    ScoreFunction,
)
from lutra.server.protocol.index_messages import parse_index_schema, parse_index_update
from lutra.server.protocol.search_messages import parse_search
from lutra.server.wire import index_pb2, query_pb2

SENT = {
    "by_place": (
        "0a0174120169224b223e0812123a0a04080b120012321a2b0a01671001180322170a03312c32110000000000005940190000"
        "00000000144029000000000000d03f3004250000004068ffffffffffffffffff01"
    ),
    "by_time": (
        "0a0174120169223d22300812122c0a04080b120012241a220a026174100218012218120a323032342d30312d30311a040802"
        "100522040803100668ffffffffffffffffff01"
    ),
    "by_number": (
        "0a0174120169223a222d081212290a04080b1200121d1a1b0a016e10031802221209000000000000144011000000000000f0"
        "3f1202120068ffffffffffffffffff01"
    ),
    "nested": (
        "0a017412016922342227080912230a016e1209081012050a036e2e611804250000803f2a0c0a060a042a0208011001180268"
        "ffffffffffffffffff01"
    ),
    "knn": (
        "0a0174120169223d22300811122c0a01761003250000803f25000000402a14080312100a016b12060301000000781d000080"
        "3f3d0000003f403268ffffffffffffffffff01"
    ),
    "groups": (
        "0a017412016922c50110002204080b12005aaf010a110a046772696410071a070a0167100718020a1a0a04626f746810081a"
        "100a0c0a0a0a017310011a030a016b38030a3c0a05657665727910051a310a016e120900040000000000000032160a090000"
        "000000000000001209000b000000000000004a090001000000000000000a250a057765656b7310061a1a0a02617412040801"
        "1004280132062b30383a30305204080210050a190a0572616e676510021a0e0a016e120911000000000000084068ffffffff"
        "ffffffffff01"
    ),
    "weights": "0a017412016922050a0169101e22050a016a1046",
    "switch": "0a01741201691a016a",
    "create": (
        "0a01741201691a310a090a016b1004280138010a0b0a017810051802280138000a130a016a100c42090a0161100128013801"
        "80010212020801"
    ),
}
HOUR_NS = 3_600 * 10**9


def request(name: str) -> SearchRequest:
    return parse_search(query_pb2.SearchRequest.FromString(bytes.fromhex(SENT[name])))


def scored(*functions: ScoreFunction) -> FunctionsScore:
    return FunctionsScore(MatchAll(), functions)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        (
            "by_place",
            scored(
                ScoreFunction(
                    Decay("g", GeoOrigin(GeoPoint(1.0, 2.0), 100.0, 5.0), DecayShape.GAUSS, 0.25, ManyMode.AVG), 2.0
                )
            ),
        ),
        (
            "by_time",
            scored(ScoreFunction(Decay("at", DateOrigin("2024-01-01", 48 * HOUR_NS, 3 * HOUR_NS), DecayShape.EXP))),
        ),
        (
            "by_number",
            scored(
                ScoreFunction(Decay("n", NumberOrigin(5.0, 1.0, 0.0), DecayShape.LINEAR)), ScoreFunction(RandomScore())
            ),
        ),
        ("nested", Nested("n", Exists("n.a"), ScoreMode.TOTAL, 1.0, InnerHits((DocSort(descending=True),), 1, 2))),
    ],
)
def test_queries(name: str, query: Query) -> None:
    assert request(name).query == query


def test_neighbours() -> None:
    query = request("knn").query
    assert isinstance(query, KnnVector)
    assert (query.field, query.vector.tolist(), query.top_k) == ("v", [1.0, 2.0], 3)
    assert (query.filter, query.weight, query.min_score, query.num_candidates) == (Term("k", "x"), 1.0, 0.5, 50)


def test_groups() -> None:
    """Where a range is open, its end is not sent; nor is a total that is not to be counted: -1 is."""
    groups = request("groups")
    assert (groups.limit, groups.count_total) == (0, False)
    assert groups.group_bys == (
        GroupByGeoGrid("grid", "g", 7, 2),
        GroupByComposite("both", (GroupByField("s", "k"),), suggested_size=3),
        GroupByHistogram("every", "n", 4, offset=1, field_range=(0, 11)),
        GroupByDateHistogram(
            "weeks",
            "at",
            DateTimeValue(1, DateTimeUnit.WEEK),
            time_zone="+08:00",
            offset=DateTimeValue(2, DateTimeUnit.DAY),
            min_doc_count=1,
        ),
        GroupByRange("range", "n", ((-math.inf, 3.0),)),
    )


def test_changes_of_an_index() -> None:
    def update(name: str) -> IndexUpdate:
        return parse_index_update(index_pb2.UpdateSearchIndexRequest.FromString(bytes.fromhex(SENT[name])))

    assert update("weights") == IndexUpdate(weights=(("i", 30), ("j", 70)))
    assert update("switch") == IndexUpdate(switch_with="j")


def test_fields() -> None:
    """It sends ``store`` where nobody said so, no flags of JSON, and how words are indexed, which is nothing here."""
    data = bytes.fromhex(SENT["create"])
    keyword, text, json = parse_index_schema(index_pb2.CreateSearchIndexRequest.FromString(data)).fields
    assert (keyword.index, keyword.sort_and_aggregate, keyword.store) == (True, None, True)
    assert (text.type, text.store) == (FieldType.TEXT, False)
    assert (json.type, json.json_type, json.index, json.store) == (FieldType.JSON, JsonType.NESTED, None, None)
    assert [(one.name, one.type) for one in json.fields] == [("a", FieldType.LONG)]
