"""Intervals of numbers and of time, and combinations of groups, as the official SDK asks for them and reads them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load
from support.searching import field, search
from support.tables import TableMaker
from tablestore import (
    Count,
    DateTimeUnit,
    DateTimeValue,
    FieldRange,
    FieldType,
    GroupByComposite,
    GroupByDateHistogram,
    GroupByField,
    GroupByFilter,
    GroupByHistogram,
    GroupKeySort,
    MatchAllQuery,
    SortOrder,
    Sum,
)

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = dt.datetime(2024, 10, 26, 12, tzinfo=dt.UTC)
"""The night after which clocks in Berlin are put back is the next one."""
ROWS = 48
"""One an hour."""


@dataclass(frozen=True)
class Indexed:
    table: str
    index: str

    def groups(self, client: SdkClient, group_by: Any) -> Any:
        response = search(client, self.table, self.index, MatchAllQuery(), limit=0, group_bys=[group_by])
        [result] = response.group_by_results
        return result


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table()
    load(
        sync_client,
        table,
        [
            (
                [("id", f"{n:02d}")],
                {"n": n, "x": n / 4, "time": int((FIRST + dt.timedelta(hours=n)).timestamp() * 1_000)}
                | ({"kind": "ab"[n % 2]} if n % 3 else {}),
            )
            for n in range(ROWS)
        ],
    )
    fields = [
        field("n", FieldType.LONG),
        field("x", FieldType.DOUBLE),
        field("kind", FieldType.KEYWORD),
        field("time", FieldType.DATE, date_formats=["epoch_millis"]),
    ]
    return Indexed(table, make_for_module.index(table, fields))


def in_order(**options: Any) -> dict[str, Any]:
    return {"group_by_sort": [GroupKeySort(SortOrder.ASC)]} | options


def test_intervals_of_numbers(rows: Indexed, client: SdkClient) -> None:
    tens = GroupByHistogram("n", 10, FieldRange(5, 60), sub_aggs=[Sum("n")])  # which this SDK cannot sort
    items = rows.groups(client, tens).items
    assert [(i.key, i.value, i.sub_aggs[0].value) for i in items] == [
        (10, 10, 145.0),
        (20, 10, 245.0),
        (30, 10, 345.0),
        (40, 8, 348.0),
        (0, 5, 35.0),
        (50, 0, 0.0),
        (60, 0, 0.0),
    ]
    assert [type(i.key) for i in items] == [int] * 7
    halves = GroupByHistogram("x", 2.5, FieldRange(0, 100.0), min_doc_count=1)
    assert [(i.key, i.value) for i in rows.groups(client, halves).items] == [
        (0.0, 10),
        (2.5, 10),
        (5.0, 10),
        (7.5, 10),
        (10.0, 8),
    ]


def local(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(dt.datetime(year, month, day, hour, tzinfo=BERLIN).timestamp() * 1_000)


def test_days_of_a_zone(rows: Indexed, client: SdkClient) -> None:
    days = GroupByDateHistogram(
        "time", DateTimeValue(1, DateTimeUnit.DAY), time_zone="Europe/Berlin", sub_aggs=[Count("n")], **in_order()
    )
    items = rows.groups(client, days).items
    assert [(i.timestamp, i.row_count, i.sub_aggs[0].value) for i in items] == [
        (local(2024, 10, 26), 10, 10),
        (local(2024, 10, 27), 25, 25),
        (local(2024, 10, 28), 13, 13),
    ]
    weeks = GroupByDateHistogram("time", DateTimeValue(1, DateTimeUnit.WEEK), time_zone="+01:00", **in_order())
    monday = int(dt.datetime(2024, 10, 20, 23, tzinfo=dt.UTC).timestamp() * 1_000)
    week_ms = 7 * 24 * 3_600_000
    assert [(i.timestamp, i.row_count) for i in rows.groups(client, weeks).items] == [
        (monday, 35),
        (monday + week_ms, 13),
    ]
    months = GroupByDateHistogram("time", DateTimeValue(1, DateTimeUnit.QUARTER_YEAR))
    october = int(dt.datetime(2024, 10, 1, tzinfo=dt.UTC).timestamp() * 1_000)
    assert [(i.timestamp, i.row_count) for i in rows.groups(client, months).items] == [(october, ROWS)]


def test_bounds_of_time(rows: Indexed, client: SdkClient) -> None:
    first_ms = int(FIRST.timestamp() * 1_000)
    hour_ms = 3_600_000
    bounds = FieldRange(first_ms - 6 * hour_ms, first_ms + 6 * hour_ms - 1)
    threes = GroupByDateHistogram(
        "time", DateTimeValue(3, DateTimeUnit.HOUR), bounds, offset=DateTimeValue(1, DateTimeUnit.HOUR), **in_order()
    )
    assert [((i.timestamp - first_ms) // hour_ms, i.row_count) for i in rows.groups(client, threes).items] == [
        (-8, 0),
        (-5, 0),
        (-2, 1),
        (1, 3),
        (4, 2),
    ]


def test_combinations_page_by_page(rows: Indexed, client: SdkClient) -> None:
    sources = [
        GroupByField("kind", group_by_sort=[GroupKeySort(SortOrder.DESC)], name="kind"),
        GroupByHistogram("n", 24, FieldRange(0, 1), name="half"),
        GroupByDateHistogram("time", DateTimeValue(1, DateTimeUnit.DAY), name="day"),
    ]
    with invalid(mentions="source [half] must not have a field_range"):
        rows.groups(client, GroupByComposite(sources))
    del sources[1]
    day_ms = int(dt.datetime(2024, 10, 26, tzinfo=dt.UTC).timestamp() * 1_000)
    days = [str(day_ms + n * 86_400_000) for n in range(3)]
    pages, token = [], None
    while True:
        result = rows.groups(client, GroupByComposite(sources, size=4, next_token=token, sub_aggs=[Sum("n")]))
        assert result.source_group_by_names == ["kind", "day"]
        pages.append([(tuple(i.keys), i.row_count) for i in result.items])
        token = result.next_token
        if token is None:
            break
    assert [len(page) for page in pages] == [4, 4, 1]
    expected = [(("b", day), 4 if n % 2 == 0 else 8) for n, day in enumerate(days)]
    expected += [(("a", day), count) for day, count in zip(days, (4, 8, 4), strict=True)]
    expected += [((None, day), count) for day, count in zip(days, (4, 8, 4), strict=True)]
    assert [item for page in pages for item in page] == expected
    whole = rows.groups(client, GroupByComposite(sources, suggested_size=5_000))
    assert [(tuple(i.keys), i.row_count) for i in whole.items] == expected


def day(**options: Any) -> GroupByDateHistogram:
    return GroupByDateHistogram("time", options.pop("interval", DateTimeValue(1, DateTimeUnit.DAY)), **options)


REFUSED: list[tuple[Any, str]] = [
    (GroupByHistogram("kind", 1, FieldRange(0, 1)), "[group_by_histogram] field_name:kind type:keyword is invalid"),
    (GroupByHistogram("time", 1, FieldRange(0, 1)), "[group_by_histogram] field_name:time type:date is invalid"),
    (GroupByHistogram("n", 0, FieldRange(0, 1)), "[group_by_histogram] interval is 0, must be greater than 0"),
    (GroupByHistogram("n", -1.5, FieldRange(0, 1)), "[group_by_histogram] interval is -1.5, must be greater than 0"),
    (GroupByHistogram("n", True, FieldRange(0, 1)), "the interval of field [n] must be an integer or a double."),
    (GroupByHistogram("n", 1, FieldRange(1, 0)), "[group_by_histogram] field_range of field: n is empty: 1 to 0"),
    (GroupByHistogram("n", 1, FieldRange(0, 2_001)), "(field_range.max - field_range.min) / interval must not exceed"),
    (GroupByHistogram("n", 1, FieldRange(0, 1), min_doc_count=-1), "min_doc_count is -1, must be 0 or more"),
    (day(interval=DateTimeValue(0, DateTimeUnit.DAY)), "[group_by_date_histogram] interval is 0, must be 1 or more"),
    (day(time_zone="+8"), "[group_by_date_histogram] time_zone [+8] must be an offset such as +08:00, or a name"),
    (day(missing="x"), "[time] is of type DATE: 'x' is no value of that type"),
    (day(offset=DateTimeValue(1, DateTimeUnit.MONTH)), "an offset of months goes with intervals of months only"),
    (GroupByDateHistogram("n", DateTimeValue(1, DateTimeUnit.DAY)), "field_name:n type:long is invalid, allow [date]"),
    (GroupByComposite([GroupByFilter([MatchAllQuery()])]), "sources of a composite group by field, by histogram or"),
    (GroupByComposite([GroupByField("n")], size=2_001), "[group_by_composite] size is 2001, must be in [1, 2000]"),
    (GroupByComposite([GroupByField("n")], suggested_size=0), "suggested_size is 0, must be 1 or more"),
    (GroupByComposite([GroupByField("n")], next_token="?"), "[group_by_composite] next_token is invalid"),
    (GroupByComposite([GroupByField("n"), GroupByField("x")]), "each source has a name of its own"),
    (GroupByComposite([GroupByField("n", sub_aggs=[Sum("n")])]), "must not have sub aggs or sub group-bys of its own"),
]


def test_what_is_refused(rows: Indexed, sync_client: ots.OTSClient) -> None:
    for group_by, message in REFUSED:
        with invalid(mentions=message):
            rows.groups(sync_client, group_by)
