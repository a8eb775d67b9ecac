"""Primary keys: their types, their limits, and keys the server chooses."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.sdk import IGNORE, SdkClient, get, invalid, put, refused, values
from support.tables import TableMaker

TEXTS = ["", " ", "a", "a\u0000", "ab", "z", "ü", "水獺", "😀", "x" * 1_024]
NUMBERS = [-(2**63), -256, -1, 0, 1, 255, 2**32, 2**63 - 1]
BINARIES = [bytearray(), bytearray(b"\x00"), bytearray(b"\x00\x00"), bytearray(b"\x7f"), bytearray(b"\xff" * 1_024)]
NUMBER_TEXT = [("n", "INTEGER"), ("s", "STRING")]


def _keys_of(client: SdkClient, table: str, names: list[str]) -> list[Any]:
    begin, end = [(name, ots.INF_MIN) for name in names], [(name, ots.INF_MAX) for name in names]
    _, _, rows, _ = client.get_range(table, "FORWARD", begin, end)
    return [row.primary_key for row in rows]


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        ("STRING", sorted(TEXTS, key=str.encode)),
        ("INTEGER", NUMBERS),
        ("BINARY", BINARIES),
    ],
)
def test_every_type_of_key_has_its_order(client: SdkClient, make: TableMaker, key_type: str, keys: list[Any]) -> None:
    table = make.table([("id", key_type)])
    for number, key in reversed(list(enumerate(keys))):
        put(client, table, [("id", key)], number=number)
    for number, key in enumerate(keys):
        row = get(client, table, [("id", key)])
        assert row is not None
        assert row.primary_key == [("id", key)]
        assert values(row) == {"number": number}
    assert _keys_of(client, table, ["id"]) == [[("id", key)] for key in keys]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_keys_of_many_columns(client: SdkClient, make: TableMaker, count: int) -> None:
    schema = [("s", "STRING"), ("i", "INTEGER"), ("b", "BINARY"), ("t", "STRING")][:count]
    table = make.table(schema)
    samples: dict[str, list[Any]] = {
        "s": ["a", "a\u0000", "b"],
        "i": [-1, 1],
        "b": [bytearray(b"\x00")],
        "t": ["", "x"],
    }
    keys: list[list[tuple[str, Any]]] = [[]]
    for name, _ in schema:
        keys = [[*key, (name, value)] for key in keys for value in samples[name]]
    for number, key in enumerate(keys):
        put(client, table, key, number=number)
    assert _keys_of(client, table, [name for name, _ in schema]) == keys
    for number, key in enumerate(keys):
        assert values(get(client, table, key)) == {"number": number}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param([("n", 1), ("t", "a")], "Validate PK name fail. Input: t, Meta: s.", id="wrong name"),
        pytest.param([("s", "a"), ("n", 1)], "Validate PK name fail. Input: s, Meta: n.", id="wrong order"),
        pytest.param(
            [("n", "1"), ("s", "a")], "Validate PK type fail. Input: VT_STRING, Meta: VT_INTEGER.", id="text for number"
        ),
        pytest.param(
            [("n", 1), ("s", 2)], "Validate PK type fail. Input: VT_INTEGER, Meta: VT_STRING.", id="number for text"
        ),
        pytest.param(
            [("n", 1), ("s", bytearray(b"a"))],
            "Validate PK type fail. Input: VT_BLOB, Meta: VT_STRING.",
            id="binary for text",
        ),
        pytest.param([("n", 1)], None, id="too few"),
        pytest.param([("n", 1), ("s", "a"), ("t", "b")], None, id="too many"),
    ],
)
def test_keys_that_do_not_fit_the_table(
    client: SdkClient, make: TableMaker, key: list[tuple[str, Any]], message: str | None
) -> None:
    table = make.table(NUMBER_TEXT)
    for call in (
        lambda: put(client, table, key, a=1),
        lambda: get(client, table, key),
        lambda: client.update_row(table, ots.Row(key, {"PUT": [("a", 1)]}), IGNORE),
        lambda: client.delete_row(table, key),
    ):
        with refused("OTSInvalidPK", 400, message):
            call()
    assert _keys_of(client, table, ["n", "s"]) == []


COUNT = "The number of primary key columns must be in range: [1, 4]."


@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param([], COUNT, id="none"),
        pytest.param([(f"n{n}", n) for n in range(5)], COUNT, id="five"),
        pytest.param([("n", True), ("s", "a")], "VT_BOOLEAN is an invalid type for the primary key.", id="boolean"),
        pytest.param(
            [("n", ots.INF_MIN), ("s", "a")], "VT_INF_MIN is an invalid type for the primary key.", id="infinity"
        ),
    ],
)
def test_keys_that_no_table_has(client: SdkClient, make: TableMaker, key: list[tuple[str, Any]], message: str) -> None:
    """Said before that there is no such table, and of a batch as a whole."""
    for table in (make.table(NUMBER_TEXT), "absent"):
        reads = ots.BatchGetRowRequest()
        reads.add(ots.TableInBatchGetRowItem(table, [[("n", 1), ("s", "a")], key], max_version=1))
        for call in (
            lambda table=table: put(client, table, key, a=1),
            lambda table=table: get(client, table, key),
            lambda table=table: client.update_row(table, ots.Row(key, {"PUT": [("a", 1)]}), IGNORE),
            lambda table=table: client.delete_row(table, key),
            lambda reads=reads: client.batch_get_row(reads),
        ):
            with invalid(message):
                call()


@pytest.mark.parametrize("value", ["x" * 1_025, bytearray(1_025)], ids=["string", "binary"])
def test_key_values_longer_than_1_kb(client: SdkClient, make: TableMaker, value: Any) -> None:
    table = make.table([("id", "STRING" if isinstance(value, str) else "BINARY")])
    with invalid("The length of primary key column: 'id' exceeds the MaxLength:1024 with CurrentLength:1025."):
        put(client, table, [("id", value)], a=1)


def test_a_number_that_the_client_gives_makes_no_row(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("id", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR)])
    absent = [("id", "a"), ("n", 7)]
    for call in (
        lambda: put(client, table, absent, a=1),
        lambda: client.update_row(table, ots.Row(absent, {"PUT": [("a", 1)]}), IGNORE),
    ):
        with refused("OTSConditionCheckFail", 403):
            call()
    assert _keys_of(client, table, ["id", "n"]) == []
    marker = ots.Row([("id", "a"), ("n", ots.PK_AUTO_INCR)], {"PUT": [("a", 1)]})
    _, row = client.update_row(table, marker, IGNORE, ots.ReturnType.RT_PK)
    chosen = row.primary_key
    assert values(get(client, table, chosen)) == {"a": 1}
    put(client, table, chosen, a=2)
    assert values(get(client, table, chosen)) == {"a": 2}


def test_the_server_chooses_ascending_keys(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("id", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR)])
    chosen: dict[str, list[int]] = {"a": [], "b": []}
    for number in range(10):
        partition = "ab"[number % 2]
        key = [("id", partition), ("n", ots.PK_AUTO_INCR)]
        _, row = client.put_row(table, ots.Row(key, [("number", number)]), IGNORE, ots.ReturnType.RT_PK)
        assert row.primary_key[0] == ("id", partition)
        chosen[partition].append(row.primary_key[1][1])
        assert values(get(client, table, row.primary_key)) == {"number": number}
    for numbers in chosen.values():
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0


def test_a_chosen_key_is_not_chosen_again_after_its_row_is_deleted(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("id", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR)])
    key = [("id", "a"), ("n", ots.PK_AUTO_INCR)]
    _, first = client.put_row(table, ots.Row(key, [("a", 1)]), IGNORE, ots.ReturnType.RT_PK)
    client.delete_row(table, first.primary_key)
    _, second = client.put_row(table, ots.Row(key, [("a", 1)]), IGNORE, ots.ReturnType.RT_PK)
    assert second.primary_key[1][1] > first.primary_key[1][1]


def test_a_chosen_key_cannot_be_read_for(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("id", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR)])
    with invalid("PKAutoIncr can't be used for read operations."):
        get(client, table, [("id", "a"), ("n", ots.PK_AUTO_INCR)])
    with invalid("PKAutoIncr can't be used for read operations."):
        client.get_range(table, "FORWARD", [("id", "a"), ("n", ots.PK_AUTO_INCR)], [("id", "b"), ("n", ots.INF_MAX)])


def test_a_key_is_chosen_only_where_the_table_says_so(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("id", "STRING"), ("n", "INTEGER")])
    with refused("OTSInvalidPK", 400):
        put(client, table, [("id", "a"), ("n", ots.PK_AUTO_INCR)], a=1)
