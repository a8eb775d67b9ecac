"""GetRange: both directions, open bounds, and paging by rows and by bytes."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load, put, refused, values
from support.tables import TableMaker

MIN, MAX = ots.INF_MIN, ots.INF_MAX
TWO_COLUMNS = [("s", "STRING"), ("n", "INTEGER")]


def _key(value: Any) -> list[tuple[str, Any]]:
    return [("n", value)]


@pytest.fixture
def numbers(make: TableMaker, sync_client: ots.OTSClient) -> str:
    """A table with the integer keys 0 to 19."""
    table = make.table([("n", "INTEGER")])
    load(sync_client, table, [(_key(number), {"square": number * number, "text": f"{number}"}) for number in range(20)])
    return table


def _range(
    client: SdkClient, table: str, start: Any, end: Any, direction: str = "FORWARD", **options: Any
) -> list[int]:
    _, following, rows, _ = client.get_range(table, direction, _key(start), _key(end), **options)
    assert following is None
    return [row.primary_key[0][1] for row in rows]


def test_forward_and_backward(client: SdkClient, numbers: str) -> None:
    assert _range(client, numbers, MIN, MAX) == list(range(20))
    assert _range(client, numbers, MAX, MIN, "BACKWARD") == list(range(19, -1, -1))


def test_the_start_is_inside_and_the_end_is_not(client: SdkClient, numbers: str) -> None:
    assert _range(client, numbers, 5, 8) == [5, 6, 7]
    assert _range(client, numbers, 8, 5, "BACKWARD") == [8, 7, 6]
    assert _range(client, numbers, -10, 2) == [0, 1]
    assert _range(client, numbers, 18, MAX) == [18, 19]
    assert _range(client, numbers, 1, MIN, "BACKWARD") == [1, 0]
    assert _range(client, numbers, 100, MAX) == []


@pytest.mark.parametrize("direction", ["FORWARD", "BACKWARD"])
@pytest.mark.parametrize("limit", [1, 7, 20, 100])
def test_pages_of_rows(client: SdkClient, numbers: str, direction: str, limit: int) -> None:
    start, end = (MIN, MAX) if direction == "FORWARD" else (MAX, MIN)
    following: Any = _key(start)
    pages = []
    while following:
        _, following, rows, _ = client.get_range(numbers, direction, following, _key(end), limit=limit)
        pages.append([row.primary_key[0][1] for row in rows])
    expected = list(range(20)) if direction == "FORWARD" else list(range(19, -1, -1))
    assert [key for page in pages for key in page] == expected
    assert all(len(page) == limit for page in pages[:-1])


def test_the_iterator_of_the_client(client: SdkClient, numbers: str) -> None:
    consumed = ots.CapacityUnit(0, 0)
    rows = list(client.xget_range(numbers, "FORWARD", _key(3), _key(MAX), consumed, count=5))
    assert [row.primary_key for row in rows] == [_key(number) for number in range(3, 8)]
    assert consumed.read > 0


def test_keys_of_two_columns(client: SdkClient, make: TableMaker) -> None:
    table = make.table(TWO_COLUMNS)
    keys = [[("s", text), ("n", number)] for text in ("a", "b", "c") for number in (-1, 0, 1)]
    load(client, table, [(key, {}) for key in keys])

    def read(direction: str, start: tuple[Any, Any], end: tuple[Any, Any]) -> list[Any]:
        bounds = [list(zip(("s", "n"), bound, strict=True)) for bound in (start, end)]
        _, _, rows, _ = client.get_range(table, direction, *bounds)
        return [row.primary_key for row in rows]

    assert read("FORWARD", ("b", MIN), ("b", MAX)) == keys[3:6]
    assert read("BACKWARD", ("b", MAX), ("b", MIN)) == keys[5:2:-1]
    assert read("FORWARD", ("a", 1), ("c", 0)) == keys[2:7]
    assert read("BACKWARD", ("c", 0), ("a", 1)) == keys[7:2:-1]
    assert read("FORWARD", (MIN, MIN), (MAX, MAX)) == keys
    assert read("FORWARD", ("a", MAX), ("c", MIN)) == keys[3:6]


def test_columns_and_versions(client: SdkClient, numbers: str) -> None:
    _, _, rows, _ = client.get_range(numbers, "FORWARD", _key(2), _key(4), columns_to_get=["square"])
    assert [values(row) for row in rows] == [{"square": 4}, {"square": 9}]
    _, _, rows, _ = client.get_range(numbers, "FORWARD", _key(2), _key(4), start_column="t")
    assert [values(row) for row in rows] == [{"text": "2"}, {"text": "3"}]
    _, _, rows, _ = client.get_range(numbers, "FORWARD", _key(2), _key(4), max_version=None, time_range=(0, 2**62))
    assert [values(row)["square"] for row in rows] == [4, 9]


def test_pages_of_four_megabytes(sync_client: ots.OTSClient, table: str) -> None:
    for number in range(6):
        put(sync_client, table, [("id", f"{number}")], blob=bytearray(1_000_000))
    following: Any = [("id", MIN)]
    pages = []
    while following:
        _, following, rows, _ = sync_client.get_range(table, "FORWARD", following, [("id", MAX)])
        pages.append([row.primary_key[0][1] for row in rows])
    assert pages == [["0", "1", "2", "3"], ["4", "5"]]


def test_pages_of_five_thousand_rows(sync_client: ots.OTSClient, make: TableMaker) -> None:
    table = make.table([("n", "INTEGER")])
    load(sync_client, table, [(_key(number), {}) for number in range(5_001)])
    _, following, rows, _ = sync_client.get_range(table, "FORWARD", _key(MIN), _key(MAX))
    assert len(rows) == 5_000
    assert following == _key(5_000)


def test_an_empty_table(client: SdkClient, table: str) -> None:
    consumed, following, rows, _ = client.get_range(table, "FORWARD", [("id", MIN)], [("id", MAX)])
    assert (following, list(rows)) == (None, [])
    assert consumed.write == 0


@pytest.mark.parametrize(("direction", "start", "end"), [("FORWARD", 5, 3), ("BACKWARD", 3, 5), ("FORWARD", MAX, MIN)])
def test_ranges_the_wrong_way_round(client: SdkClient, numbers: str, direction: str, start: Any, end: Any) -> None:
    with invalid():
        client.get_range(numbers, direction, _key(start), _key(end))


@pytest.mark.parametrize("limit", [0, -1])
def test_limits_that_are_none(client: SdkClient, numbers: str, limit: int) -> None:
    with invalid():
        client.get_range(numbers, "FORWARD", _key(MIN), _key(MAX), limit=limit)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param([("m", 1)], id="wrong name"),
        pytest.param([("n", "1")], id="wrong type"),
        pytest.param([("n", 1), ("m", 1)], id="too many"),
    ],
)
def test_bounds_that_do_not_fit_the_table(client: SdkClient, numbers: str, start: Any) -> None:
    with refused("OTSInvalidPK", 400):
        client.get_range(numbers, "FORWARD", start, _key(MAX))


@pytest.mark.parametrize("columns", [0, 5, 9, 16, 17])
def test_bounds_that_no_table_has(client: SdkClient, numbers: str, columns: int) -> None:
    bound = [(f"n{number}", MIN) for number in range(columns)]
    for table in (numbers, "absent"):
        with invalid("The number of primary key columns must be in range: [1, 4]."):
            client.get_range(table, "FORWARD", bound, _key(MAX))
