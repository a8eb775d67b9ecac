"""Versions of a column: explicit timestamps, reading them by number and time, deleting them, and how long they live."""

from __future__ import annotations

import time
from typing import Any

import pytest
import tablestore as ots
from support.sdk import IGNORE, SdkClient, get, invalid, values, versions
from support.tables import TableMaker

KEY = [("id", "row")]
DAY_S = 86_400


@pytest.fixture
def now_ms() -> int:
    return int(time.time() * 1_000)


@pytest.fixture
def versioned(make: TableMaker) -> str:
    """A table that keeps three versions of each column."""
    return make.table(options=ots.TableOptions(max_version=3))


def _put(client: SdkClient, table: str, *cells: tuple[str, Any, int]) -> None:
    client.put_row(table, ots.Row(KEY, list(cells)), IGNORE)


def _update(client: SdkClient, table: str, **changes: list[Any]) -> None:
    client.update_row(table, ots.Row(KEY, changes), IGNORE)


def test_versions_come_newest_first(client: SdkClient, versioned: str, now_ms: int) -> None:
    _put(client, versioned, ("a", "old", now_ms - 20), ("a", "new", now_ms), ("a", "middle", now_ms - 10))
    row = get(client, versioned, KEY, max_version=3)
    assert versions(row, "a") == [("new", now_ms), ("middle", now_ms - 10), ("old", now_ms - 20)]


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_as_many_versions_as_asked_for(client: SdkClient, versioned: str, now_ms: int, count: int) -> None:
    _put(client, versioned, *[("a", number, now_ms - number) for number in range(3)], ("b", "one", now_ms))
    row = get(client, versioned, KEY, max_version=count)
    assert versions(row, "a") == [(number, now_ms - number) for number in range(min(count, 3))]
    assert versions(row, "b") == [("one", now_ms)]


def test_a_table_keeps_no_more_versions_than_it_says(client: SdkClient, versioned: str, now_ms: int) -> None:
    for number in range(6):
        _update(client, versioned, PUT=[("a", number, now_ms + number)])
    row = get(client, versioned, KEY, max_version=10)
    assert [value for value, _ in versions(row, "a")] == [5, 4, 3]


def test_the_same_timestamp_is_the_same_version(client: SdkClient, versioned: str, now_ms: int) -> None:
    _update(client, versioned, PUT=[("a", "first", now_ms)])
    _update(client, versioned, PUT=[("a", "second", now_ms)])
    assert versions(get(client, versioned, KEY, max_version=3), "a") == [("second", now_ms)]


def test_an_older_version_written_later_stays_older(client: SdkClient, versioned: str, now_ms: int) -> None:
    _update(client, versioned, PUT=[("a", "new", now_ms)])
    _update(client, versioned, PUT=[("a", "old", now_ms - 1_000)])
    assert values(get(client, versioned, KEY)) == {"a": "new"}


@pytest.mark.parametrize(
    ("begin", "end", "expected"), [(0, 3, [2, 1, 0]), (0, 1, [0]), (1, 3, [2, 1]), (1, 2, [1]), (-5, 0, [])]
)
def test_a_time_range_includes_its_start_only(
    client: SdkClient, versioned: str, now_ms: int, begin: int, end: int, expected: list[int]
) -> None:
    _put(client, versioned, *[("a", number, now_ms + number) for number in range(3)])
    row = get(client, versioned, KEY, max_version=None, time_range=(now_ms + begin, now_ms + end))
    assert ([] if row is None else [value for value, _ in versions(row, "a")]) == expected


def test_one_moment_and_a_number_of_versions(client: SdkClient, versioned: str, now_ms: int) -> None:
    _put(client, versioned, *[("a", number, now_ms + number) for number in range(3)])
    row = get(client, versioned, KEY, max_version=None, time_range=now_ms + 1)
    assert versions(row, "a") == [(1, now_ms + 1)]
    row = get(client, versioned, KEY, max_version=1, time_range=(now_ms, now_ms + 2))
    assert versions(row, "a") == [(1, now_ms + 1)]


def test_times_that_no_cell_has(client: SdkClient, versioned: str, now_ms: int) -> None:
    """The row with its key and no cells; none where columns are named that are not there."""
    _put(client, versioned, ("a", 1, now_ms))
    bounds = ([("id", ots.INF_MIN)], [("id", ots.INF_MAX)])
    for columns, expected in (([], [{}]), (["a"], []), (["none"], [])):
        options: dict[str, Any] = {"columns_to_get": columns, "max_version": None, "time_range": (5, 6)}
        rows = [get(client, versioned, KEY, **options)]
        request = ots.BatchGetRowRequest()
        request.add(ots.TableInBatchGetRowItem(versioned, [KEY], columns, None, None, (5, 6)))
        rows += [item.row for item in client.batch_get_row(request).get_result_by_table(versioned)]
        rows += client.get_range(versioned, "FORWARD", *bounds, **options)[2] or [None]
        assert [values(row) for row in rows if row is not None] == expected * 3
        assert all(row.primary_key == KEY for row in rows if row is not None)


def test_one_time_and_a_number_of_versions(client: SdkClient, versioned: str) -> None:
    with invalid("Specific timestamp and max versions cannot be given at the same time."):
        get(client, versioned, KEY, max_version=1, time_range=5)


@pytest.mark.parametrize("time_range", [(5, 5), (6, 5), (-1, 5), -1])
def test_time_ranges_that_are_none(client: SdkClient, versioned: str, time_range: Any) -> None:
    with invalid():
        get(client, versioned, KEY, time_range=time_range)


def test_one_version_is_deleted(client: SdkClient, versioned: str, now_ms: int) -> None:
    _put(client, versioned, *[("a", number, now_ms + number) for number in range(3)])
    _update(client, versioned, DELETE=[("a", None, now_ms + 1)])
    row = get(client, versioned, KEY, max_version=3)
    assert versions(row, "a") == [(2, now_ms + 2), (0, now_ms)]


def test_a_version_that_is_not_there_is_deleted_in_vain(client: SdkClient, versioned: str, now_ms: int) -> None:
    _put(client, versioned, ("a", 1, now_ms))
    _update(client, versioned, DELETE=[("a", None, now_ms - 1), ("b", None, now_ms)])
    assert versions(get(client, versioned, KEY, max_version=3), "a") == [(1, now_ms)]


def test_all_versions_are_deleted(client: SdkClient, versioned: str, now_ms: int) -> None:
    _put(client, versioned, *[("a", number, now_ms + number) for number in range(3)], ("b", "kept", now_ms))
    _update(client, versioned, DELETE_ALL=["a"])
    row = get(client, versioned, KEY, max_version=3)
    assert versions(row, "a") == []
    assert versions(row, "b") == [("kept", now_ms)]


def test_a_put_replaces_all_versions(client: SdkClient, versioned: str, now_ms: int) -> None:
    _put(client, versioned, ("a", "old", now_ms - 5), ("b", "old", now_ms - 5))
    _put(client, versioned, ("a", "new", now_ms))
    row = get(client, versioned, KEY, max_version=3)
    assert (versions(row, "a"), versions(row, "b")) == ([("new", now_ms)], [])


def test_fewer_versions_from_now_on(client: SdkClient, versioned: str, now_ms: int) -> None:
    _put(client, versioned, *[("a", number, now_ms - number) for number in range(3)])
    client.update_table(versioned, ots.TableOptions(None, 1, None))
    assert versions(get(client, versioned, KEY, max_version=3), "a") == [(0, now_ms)]


@pytest.mark.parametrize("offset_s", [-3_700, 3_700])
def test_timestamps_too_far_from_now(client: SdkClient, make: TableMaker, now_ms: int, offset_s: int) -> None:
    table = make.table(options=ots.TableOptions(max_time_deviation=3_600))
    with invalid():
        _put(client, table, ("a", 1, now_ms + offset_s * 1_000))
    assert get(client, table, KEY) is None
    _put(client, table, ("a", 1, now_ms + offset_s // 2 * 1_000))
    assert values(get(client, table, KEY)) == {"a": 1}


def test_negative_timestamps(client: SdkClient, table: str) -> None:
    with invalid():
        _put(client, table, ("a", 1, -1))


def test_what_outlived_its_time_is_not_read(client: SdkClient, make: TableMaker, now_ms: int) -> None:
    table = make.table(options=ots.TableOptions(max_version=2, max_time_deviation=10 * DAY_S))
    expired_ms = now_ms - 2 * DAY_S * 1_000
    _put(client, table, ("old", 1, expired_ms), ("both", "old", expired_ms), ("both", "new", now_ms))
    client.put_row(table, ots.Row([("id", "all old")], [("a", 1, expired_ms)]), IGNORE)
    client.update_table(table, ots.TableOptions(DAY_S, None, None))
    row = get(client, table, KEY, max_version=2)
    assert versions(row, "both") == [("new", now_ms)]
    assert versions(row, "old") == []
    assert get(client, table, [("id", "all old")]) is None
    _, _, rows, _ = client.get_range(table, "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)])
    assert [row.primary_key for row in rows] == [KEY]
