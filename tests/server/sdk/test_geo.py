"""Points on the earth, through the SDK: fields, queries, sorts, pages."""

from __future__ import annotations

import math
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, load, refused
from support.searching import ALL_FROM_INDEX, columns_of, every_page, field, ids, search
from support.tables import TableMaker
from support.waiting import wait_until
from tablestore import FieldType, MatchAllQuery

CITIES = {
    "beijing": "39.9042,116.4074",
    "fiji": "-17.7134, 178.0650",
    "hangzhou": "30.2741, 120.1551",
    "london": "51.5074,-0.1278",
    "north": "90,0",
    "samoa": "-13.759,-172.1046",
    "shanghai": "31.2304,121.4737",
    "sydney": "-33.8688,151.2093",
}


@pytest.fixture(scope="module")
def indexed(make_for_module: TableMaker, sync_client: ots.OTSClient) -> tuple[str, str]:
    table = make_for_module.table()
    rows: list[Any] = [([("id", name)], {"at": at, "stops": f'["{at}"]'}) for name, at in CITIES.items()]
    rows += [
        ([("id", "nowhere")], {"at": "somewhere", "stops": "[]"}),
        ([("id", "tour")], {"stops": '["39.9042,116.4074", "51.5074, -0.1278"]'}),
    ]
    load(sync_client, table, rows)
    return table, make_for_module.index(
        table, [field("at", FieldType.GEOPOINT), field("stops", FieldType.GEOPOINT, is_array=True)]
    )


def found(client: SdkClient, indexed: tuple[str, str], query: ots.Query, **options: Any) -> list[str]:
    return ids(search(client, *indexed, query, **options))


def test_distances(client: SdkClient, indexed: tuple[str, str]) -> None:
    hangzhou = "30.2741, 120.1551"
    assert found(client, indexed, ots.GeoDistanceQuery("at", hangzhou, 1)) == ["hangzhou"]
    assert found(client, indexed, ots.GeoDistanceQuery("at", hangzhou, 200_000)) == ["hangzhou", "shanghai"]
    assert found(client, indexed, ots.GeoDistanceQuery("stops", CITIES["london"], 1_000)) == ["london", "tour"]
    assert len(found(client, indexed, ots.GeoDistanceQuery("at", "0,0", 3e7))) == len(CITIES)


def test_boxes(client: SdkClient, indexed: tuple[str, str]) -> None:
    assert found(client, indexed, ots.GeoBoundingBoxQuery("at", "41,115", "30,122")) == [
        "beijing",
        "hangzhou",
        "shanghai",
    ]
    assert found(client, indexed, ots.GeoBoundingBoxQuery("at", "0,170", "-20,-170")) == ["fiji", "samoa"]
    assert found(client, indexed, ots.GeoBoundingBoxQuery("at", "90,100", "80,120")) == ["north"]


def test_polygons(client: SdkClient, indexed: tuple[str, str]) -> None:
    pacific = ["0,170", "-20,170", "-20,-170", "0,-170"]
    assert found(client, indexed, ots.GeoPolygonQuery("at", pacific)) == ["fiji", "samoa"]
    assert found(client, indexed, ots.GeoPolygonQuery("at", ["80,0", "80,120", "80,-120"])) == ["north"]
    assert found(client, indexed, ots.GeoPolygonQuery("stops", ["50,-1", "50,1", "53,0"])) == ["london", "tour"]


def test_in_one_with_others(client: SdkClient, indexed: tuple[str, str]) -> None:
    query = ots.BoolQuery(
        must_queries=[ots.GeoDistanceQuery("at", "30,120", 2_000_000)],
        must_not_queries=[ots.GeoBoundingBoxQuery("at", "31,120", "30,121")],
    )
    assert found(client, indexed, query) == ["beijing", "shanghai"]
    assert found(client, indexed, ots.ExistsQuery("at")) == sorted(CITIES)
    assert found(client, indexed, ots.ExistsQuery("stops")) == sorted([*CITIES, "tour"])


def test_what_is_refused(client: SdkClient, indexed: tuple[str, str]) -> None:
    for query, says in (
        (ots.GeoDistanceQuery("at", "30,120", 0), "distance must be more than 0 metres"),
        (ots.GeoDistanceQuery("at", "30", 1), "[geo_distance query] center_point must be a point"),
        (ots.GeoBoundingBoxQuery("at", "30,1", "31,2"), "is south of bottom_right"),
        (ots.GeoPolygonQuery("at", ["0,0", "1,1"]), "at least 3 points that differ"),
        (ots.GeoPolygonQuery("at", ["0,0", "1,1", "1,0", "0,1"]), "crosses or touches itself"),
        (ots.TermQuery("at", "30,120"), "[term query] field: at type: geo_point is invalid"),
        (ots.TermsQuery("at", ["30,120"]), "[terms query] field: at type: geo_point is invalid"),
    ):
        with refused("OTSParameterInvalid", 400, mentions=says):
            search(client, *indexed, query)


def test_sorts_and_pages(client: SdkClient, indexed: tuple[str, str]) -> None:
    nearest = ots.Sort([ots.GeoDistanceSort("at", ["31,121"])])
    expected = ["shanghai", "hangzhou", "beijing", "north", "sydney", "fiji", "samoa", "london"]
    everything = MatchAllQuery()
    without = ["nowhere", "tour"]
    assert found(client, indexed, everything, sort=nearest) == [*expected, *without]
    pages = every_page(client, *indexed, everything, sort=nearest, limit=3)
    assert [name for page in pages for name in page] == [*expected, *without]
    farthest = ots.Sort([ots.GeoDistanceSort("at", ["31,121"], ots.SortOrder.DESC)])
    assert found(client, indexed, everything, sort=farthest) == [*reversed(expected), *without]
    pages = every_page(client, *indexed, everything, sort=farthest, limit=4)
    assert [name for page in pages for name in page] == [*reversed(expected), *without]


def test_modes_of_sorts(client: SdkClient, indexed: tuple[str, str]) -> None:
    query = ots.GeoDistanceQuery("stops", CITIES["london"], 1e7)
    places: dict[Any, int] = {}
    for mode in (ots.SortMode.MIN, ots.SortMode.AVG, ots.SortMode.MAX):
        sort = ots.Sort(
            [
                ots.GeoDistanceSort(
                    "stops", [CITIES["london"]], sort_mode=mode, geo_distance_type=ots.GeoDistanceType.PLANE
                )
            ]
        )
        places[mode] = found(client, indexed, query, sort=sort).index("tour")
    assert places == {ots.SortMode.MIN: 1, ots.SortMode.AVG: 2, ots.SortMode.MAX: 3}, "north, and Beijing, between"


def test_columns_and_schema(client: SdkClient, sync_client: ots.OTSClient, indexed: tuple[str, str]) -> None:
    response = search(client, *indexed, ots.GeoDistanceQuery("at", CITIES["fiji"], 1), columns=ALL_FROM_INDEX)
    assert columns_of(response.rows[0]) == {"at": CITIES["fiji"], "stops": f'["{CITIES["fiji"]}"]'}
    meta, _ = sync_client.describe_search_index(*indexed)
    assert [(one.field_name, one.field_type, one.is_array) for one in meta.fields] == [
        ("at", FieldType.GEOPOINT, False),
        ("stops", FieldType.GEOPOINT, True),
    ]


def test_a_row_that_moves(client: SdkClient, make: TableMaker, sync_client: ots.OTSClient) -> None:
    table = make.table()
    load(sync_client, table, [([("id", "a")], {"at": "1,1"})])
    index = make.index(table, [field("at", FieldType.GEOPOINT)])
    assert ids(search(client, table, index, ots.GeoDistanceQuery("at", "1,1", 10))) == ["a"]
    load(sync_client, table, [([("id", "a")], {"at": "2,2"})])
    wait_until(lambda: ids(search(client, table, index, ots.GeoDistanceQuery("at", "2,2", 10))) == ["a"], 10)
    assert ids(search(client, table, index, ots.GeoDistanceQuery("at", "1,1", 10))) == []


def test_groups_by_distance(client: SdkClient, indexed: tuple[str, str]) -> None:
    """As the Go SDK's own tests expect them: as they were given, and the least distance is 0."""
    group_by = ots.GroupByGeoDistance(
        "at",
        ots.GeoPoint(31, 121),
        [(-math.inf, 200_000), (5e6, 3e7), (200_000, 5e6)],
        sub_group_bys=[ots.GroupByGeoGrid("at", ots.GeoHashPrecision.GHP_5009KM_4992KM_1)],
    )
    response = search(client, *indexed, MatchAllQuery(), group_bys=[group_by], limit=0)
    [result] = response.group_by_results
    assert [(item.range_from, item.range_to, item.row_count) for item in result.items] == [
        (0, 200_000, 2),
        (5e6, 3e7, 5),
        (200_000, 5e6, 1),
    ]
    [below] = result.items[0].sub_group_bys
    assert [(item.key, item.row_count) for item in below.items] == [("w", 2)]


def test_groups_by_grid(client: SdkClient, indexed: tuple[str, str]) -> None:
    group_by = ots.GroupByGeoGrid("stops", ots.GeoHashPrecision.GHP_1252KM_624KM_2, 2)
    response = search(client, *indexed, MatchAllQuery(), group_bys=[group_by], limit=0)
    [result] = response.group_by_results
    [first, second] = result.items
    assert (first.key, first.row_count) == ("gc", 2)
    assert (second.key, second.row_count) == ("wt", 2)
    corners = first.geo_grid.top_left, first.geo_grid.bottom_right
    assert [(corner.lat, corner.lon) for corner in corners] == [(56.25, -11.25), (50.625, 0.0)]
    with refused("OTSParameterInvalid", 400, mentions="[group_by_geo_grid] field: nothing does not exist"):
        group_by = ots.GroupByGeoGrid("nothing", ots.GeoHashPrecision.GHP_37MM_19MM_12)
        search(client, *indexed, MatchAllQuery(), group_bys=[group_by])
