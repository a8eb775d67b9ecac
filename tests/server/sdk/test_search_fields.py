"""Fields of an index: each type, arrays, date formats, and values that do not fit."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, put
from support.searching import ALL, ALL_FROM_INDEX, columns_of, field, ids, search
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import FieldType

JUNE_1_MS = 1_780_272_000_000  # 2026-06-01T00:00:00Z
DAY_MS = 86_400_000


def _key(name: str) -> list[tuple[str, str]]:
    return [("id", name)]


@pytest.mark.parametrize(
    ("kind", "value", "other"),
    [
        (FieldType.LONG, 2**63 - 1, 2**63 - 2),
        (FieldType.LONG, -(2**63), 0),
        (FieldType.DOUBLE, 0.1, 0.2),
        (FieldType.DOUBLE, -1e300, 1e300),
        (FieldType.BOOLEAN, True, False),
        (FieldType.BOOLEAN, False, True),
        (FieldType.KEYWORD, "水獺 😀", "水"),
        (FieldType.KEYWORD, "", " "),
        (FieldType.KEYWORD, "Case", "case"),
        (FieldType.DATE, JUNE_1_MS, JUNE_1_MS + 1),
    ],
)
def test_each_type(client: SdkClient, make: TableMaker, table: str, kind: FieldType, value: Any, other: Any) -> None:
    index = make.index(table, [field("f", kind)])
    put(client, table, _key("value"), f=value)
    put(client, table, _key("other"), f=other)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.TermQuery("f", value))) == ["value"]
    assert ids(search(client, table, index, ots.TermQuery("f", other))) == ["other"]


@pytest.mark.parametrize(
    ("kind", "text", "elements", "absent"),
    [
        (FieldType.LONG, "[3, 1, 2]", [1, 2, 3], 4),
        (FieldType.DOUBLE, "[0.5, 2]", [0.5, 2.0], 1.0),
        (FieldType.BOOLEAN, "[true]", [True], False),
        (FieldType.KEYWORD, '["a", "b", "\\u6c34"]', ["a", "b", "水"], "c"),
        (FieldType.DATE, f"[{JUNE_1_MS}]", [JUNE_1_MS], JUNE_1_MS + 1),
        (FieldType.LONG, "[1, null, 2]", [1, 2], 0),
    ],
)
def test_arrays_of_each_type(
    client: SdkClient, make: TableMaker, table: str, kind: FieldType, text: str, elements: list[Any], absent: Any
) -> None:
    """Every element finds the row; it comes back as the text it was written as."""
    index = make.index(table, [field("f", kind, is_array=True)])
    put(client, table, _key("row"), f=text)
    make.wait_synced(table, index)
    for element in elements:
        response = search(client, table, index, ots.TermQuery("f", element), columns=ALL)
        assert [columns_of(row) for row in response.rows] == [{"f": text}]
    assert ids(search(client, table, index, ots.TermQuery("f", absent))) == []


def test_empty_and_missing(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [field("f", FieldType.KEYWORD, is_array=True), field("g", FieldType.LONG)])
    put(client, table, _key("empty"), f="[]")
    put(client, table, _key("missing"))
    put(client, table, _key("null"), f="[null]")
    put(client, table, _key("there"), f='["x"]', g=0)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.ExistsQuery("f"))) == ["there"]
    assert ids(search(client, table, index, ots.ExistsQuery("g"))) == ["there"]
    lacking = ots.BoolQuery(must_not_queries=[ots.ExistsQuery("f")])
    assert ids(search(client, table, index, lacking)) == ["empty", "missing", "null"]
    assert ids(search(client, table, index, ots.MatchAllQuery())) == ["empty", "missing", "null", "there"]


@pytest.mark.parametrize(
    "text",
    ["[1, NaN]", "[1, Infinity]", "[1, -Infinity]", "[1, 1e400]", "[1, 18446744073709551617]", "[1, true]", "[1, [2]]"],
)
def test_an_array_with_an_element_of_another_type_has_no_element(
    client: SdkClient, make: TableMaker, table: str, text: str
) -> None:
    index = make.index(table, [field("d", FieldType.DOUBLE, is_array=True)])
    put(client, table, _key("bad"), d=text)
    put(client, table, _key("good"), d="[1]")
    make.wait_synced(table, index)
    for query in (ots.ExistsQuery("d"), ots.TermQuery("d", 1.0), ots.RangeQuery("d", 0.9, None)):
        assert ids(search(client, table, index, query)) == ["good"]
    found = search(client, table, index, ots.MatchAllQuery(), columns=ALL_FROM_INDEX)
    assert [columns_of(row) for row in found.rows] == [{"d": text}, {"d": "[1]"}]


def test_what_filters_do_not_see_comes_back_from_the_index_all_the_same(
    client: SdkClient, make: TableMaker, table: str
) -> None:
    index = make.index(table, [field("word", FieldType.KEYWORD), field("n", FieldType.LONG)])
    longest, longer = "é" * 2_048, "é" * 2_048 + "x"
    put(client, table, _key("longer"), word=longer, n=1)
    put(client, table, _key("longest"), word=longest, n="1")
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.ExistsQuery("word"))) == ["longest"]
    assert ids(search(client, table, index, ots.TermQuery("word", longest))) == ["longest"]
    assert ids(search(client, table, index, ots.ExistsQuery("n"))) == ["longer"]
    found = search(client, table, index, ots.MatchAllQuery(), columns=ALL_FROM_INDEX)
    assert [columns_of(row) for row in found.rows] == [{"word": longer, "n": 1}, {"word": longest, "n": "1"}]


@pytest.mark.one_process
def test_what_filters_do_not_see_is_told_in_metrics(
    server: ServerProcess, client: SdkClient, make: TableMaker, table: str
) -> None:
    index = make.index(table, [field("word", FieldType.KEYWORD), field("n", FieldType.LONG)])
    put(client, table, _key("longer"), word="é" * 2_048 + "x", n="1")
    make.wait_synced(table, index)
    metrics = urllib.request.urlopen(f"{server.endpoint}/metrics").read().decode()
    for name in ("n", "word"):
        labels = f'field="{name}",index="{index}",instance="{server.instance}",table="{table}"'
        assert f"\nlutra_index_unindexed_values{{{labels}}} 1.0\n" in metrics


@pytest.mark.parametrize(
    ("formats", "written", "asked"),
    [
        ([], JUNE_1_MS, JUNE_1_MS),
        (["epoch_second"], JUNE_1_MS // 1_000, JUNE_1_MS // 1_000),
        (["epoch_micros"], JUNE_1_MS * 1_000, JUNE_1_MS * 1_000),
        (["epoch_nanos"], JUNE_1_MS * 1_000_000, JUNE_1_MS * 1_000_000),
        (["yyyy-MM-dd"], "2026-06-01", "2026-06-01"),
        (["yyyy-MM-dd HH:mm:ss"], "2026-06-01 00:00:00", "2026-06-01 00:00:00"),
        (["yyyy-MM-dd'T'HH:mm:ss.SSSX"], "2026-06-01T02:00:00.000+02", "2026-06-01T00:00:00.000Z"),
        (["yyyy/M/d", "epoch_millis"], "2026/6/1", JUNE_1_MS),
        (["yyyy-MM-dd", "yyyy-MM-dd HH:mm"], "2026-06-01 00:00", "2026-06-01"),
    ],
)
def test_dates_in_each_format(
    client: SdkClient, make: TableMaker, table: str, formats: list[str], written: Any, asked: Any
) -> None:
    index = make.index(table, [field("day", FieldType.DATE, date_formats=formats)])
    put(client, table, _key("row"), day=written)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.TermQuery("day", asked))) == ["row"]
    assert ids(search(client, table, index, ots.RangeQuery("day", asked, None, include_lower=False))) == []


def test_values_that_do_not_fit_leave_the_row_findable_by_the_others(
    client: SdkClient, make: TableMaker, table: str
) -> None:
    kinds = {
        "a_long": (FieldType.LONG, "1"),
        "b_double": (FieldType.DOUBLE, "0.5"),
        "c_boolean": (FieldType.BOOLEAN, 1),
        "d_keyword": (FieldType.KEYWORD, 5),
        "e_date": (FieldType.DATE, "no date"),
    }
    fields = [field(name, kind) for name, (kind, _) in kinds.items()]
    index = make.index(table, [*fields, field("array", FieldType.LONG, is_array=True), field("n", FieldType.LONG)])
    put(client, table, _key("row"), n=1, array="[1, 2", **{name: value for name, (_, value) in kinds.items()})
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.TermQuery("n", 1))) == ["row"]
    for name in [*kinds, "array"]:
        assert ids(search(client, table, index, ots.ExistsQuery(name))) == []


def test_key_columns_can_be_fields(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("part", "STRING"), ("n", "INTEGER")])
    index = make.index(table, [field("part", FieldType.KEYWORD), field("n", FieldType.LONG)])
    for part in "ab":
        for n in range(3):
            put(client, table, [("part", part), ("n", n)])
    make.wait_synced(table, index)
    query = ots.BoolQuery(must_queries=[ots.TermQuery("part", "b"), ots.RangeQuery("n", 1, None)])
    response = search(client, table, index, query)
    assert [key for key, _ in response.rows] == [[("part", "b"), ("n", 1)], [("part", "b"), ("n", 2)]]


def test_key_columns_can_be_arrays(client: SdkClient, make: TableMaker) -> None:
    """As the timestream layer of Java's SDK has it, with tags beside a name and a time."""
    table = make.table([("name", "STRING"), ("tags", "STRING"), ("at", "INTEGER")])
    fields = [
        field("name", FieldType.KEYWORD),
        field("tags", FieldType.KEYWORD, is_array=True),
        field("at", FieldType.DATE, date_formats=["epoch_second"]),
        field("n", FieldType.LONG),
    ]
    index = make.index(table, fields)
    rows = {"a": '["cpu=1","host=x"]', "b": '["cpu=2"]', "c": "[]", "d": "cpu=1", "e": '["cpu=1"]'}
    for name, tags in rows.items():
        put(client, table, [("name", name), ("tags", tags), ("at", 5)], n=1)
    client.delete_row(table, [("name", "e"), ("tags", rows["e"]), ("at", 5)])
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.TermQuery("tags", "cpu=1"))) == ["a"]
    assert ids(search(client, table, index, ots.TermsQuery("tags", ["host=x", "cpu=2"]))) == ["a", "b"]
    assert ids(search(client, table, index, ots.PrefixQuery("tags", "cpu="))) == ["a", "b"]
    assert ids(search(client, table, index, ots.ExistsQuery("tags"))) == ["a", "b"]
    assert ids(search(client, table, index, ots.RangeQuery("at", 5, 5, True, True))) == ["a", "b", "c", "d"]
    by_tags = ots.Sort([ots.FieldSort("tags", ots.SortOrder.DESC)])
    found = search(client, table, index, ots.MatchAllQuery(), sort=by_tags, columns=ALL_FROM_INDEX)
    assert ids(found) == ["a", "b", "c", "d"]
    assert [key[1] for key, _ in found.rows] == [("tags", rows[name]) for name in "abcd"]
    assert [columns_of(row) for row in found.rows] == [{"n": 1}] * 4


def test_a_field_that_is_not_indexed_cannot_be_asked_for(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [field("n", FieldType.LONG, index=False), field("m", FieldType.LONG)])
    put(client, table, _key("row"), n=1, m=2)
    make.wait_synced(table, index)
    with invalid(mentions="n"):
        search(client, table, index, ots.TermQuery("n", 1))
    assert ids(search(client, table, index, ots.TermQuery("m", 2))) == ["row"]


def test_updates_and_deletes_are_followed(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [field("n", FieldType.LONG), field("tags", FieldType.KEYWORD, is_array=True)])
    put(client, table, _key("row"), n=1, tags='["a"]')
    client.update_row(table, ots.Row(_key("row"), {"PUT": [("n", 2)]}), None)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.TermQuery("n", 1))) == []
    both = ots.BoolQuery(must_queries=[ots.TermQuery("n", 2), ots.TermQuery("tags", "a")])
    assert ids(search(client, table, index, both)) == ["row"]
    client.update_row(table, ots.Row(_key("row"), {"INCREMENT": [("n", 5)], "DELETE_ALL": ["tags"]}), None)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.TermQuery("n", 7))) == ["row"]
    assert ids(search(client, table, index, ots.ExistsQuery("tags"))) == []
    client.delete_row(table, _key("row"))
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.MatchAllQuery())) == []
    put(client, table, _key("row"), n=9)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.TermQuery("n", 9))) == ["row"]
