"""CreateTable, ListTable, DescribeTable, UpdateTable and DeleteTable."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.sdk import IGNORE, NO_THROUGHPUT, SdkClient, get, invalid, put, refused, send, values
from support.tables import TableMaker
from tablestore.plainbuffer.plain_buffer_coded_stream import PlainBufferCodedInputStream
from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream
from tablestore.protobuf import table_store_pb2 as wire

ID = [("id", "STRING")]
DAY_S = 86_400


def _create(
    client: SdkClient,
    name: str = "refused_table",
    key: list[tuple[Any, ...]] | None = None,
    defined: list[tuple[str, str]] | None = None,
    options: ots.TableOptions | None = None,
    throughput: ots.ReservedThroughput = NO_THROUGHPUT,
    **more: Any,
) -> None:
    meta = ots.TableMeta(name, ID if key is None else key, defined)
    client.create_table(meta, options or ots.TableOptions(), throughput, **more)


def test_a_table_is_described_as_it_was_created(client: SdkClient) -> None:
    key = [("s", "STRING"), ("i", "INTEGER"), ("b", "BINARY"), ("n", "INTEGER", ots.PK_AUTO_INCR)]
    defined = [("a", "STRING"), ("b_2", "INTEGER"), ("c", "DOUBLE"), ("d", "BOOLEAN"), ("e", "BINARY")]
    options = ots.TableOptions(2 * DAY_S, 3, max_time_deviation=3_600, allow_update=False)
    _create(client, "described", key, defined, options)
    try:
        description = client.describe_table("described")
        assert description.table_meta.table_name == "described"
        assert description.table_meta.schema_of_primary_key == key
        assert description.table_meta.defined_columns == defined
        described = description.table_options
        assert (described.time_to_live, described.max_version) == (2 * DAY_S, 3)
        assert (described.max_time_deviation, described.allow_update) == (3_600, False)
        capacity = description.reserved_throughput_details.capacity_unit
        assert (capacity.read, capacity.write) == (0, 0)
        assert description.reserved_throughput_details.last_increase_time > 0
        assert description.secondary_indexes == []
        assert not description.sse_details.enable
    finally:
        client.delete_table("described")


def test_options_not_given_have_the_documented_defaults(client: SdkClient, make: TableMaker) -> None:
    name = make.table(options=ots.TableOptions(None, None, None))
    options = client.describe_table(name).table_options
    assert (options.time_to_live, options.max_version) == (-1, 1)
    assert (options.max_time_deviation, options.allow_update) == (DAY_S, True)


def test_tables_are_listed(client: SdkClient, make: TableMaker) -> None:
    names = {make.table(), make.table()}
    assert names <= set(client.list_table())
    make.clean_up()
    assert not names & set(client.list_table())


def test_a_table_is_created_once(client: SdkClient, table: str) -> None:
    with refused("OTSObjectAlreadyExist", 409, "Requested table already exists."):
        _create(client, table)


def test_a_deleted_table_is_gone_with_its_rows(client: SdkClient, make: TableMaker) -> None:
    name = make.table()
    put(client, name, [("id", "a")], text="old")
    client.delete_table(name)
    assert name not in client.list_table()
    _create(client, name)
    assert get(client, name, [("id", "a")]) is None


def test_a_table_that_is_not_there(client: SdkClient) -> None:
    for call in (
        lambda: client.describe_table("absent"),
        lambda: client.delete_table("absent"),
        lambda: client.update_table("absent", ots.TableOptions(-1, 2)),
        lambda: get(client, "absent", [("id", "a")]),
        lambda: put(client, "absent", [("id", "a")], text="x"),
        lambda: client.update_row("absent", ots.Row([("id", "a")], {"PUT": [("a", 1)]}), None),
        lambda: client.delete_row("absent", [("id", "a")]),
        lambda: client.get_range("absent", "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)]),
    ):
        with refused("OTSObjectNotExist", 404, "Requested table does not exist."):
            call()


@pytest.mark.parametrize("name", ["", "0", "1abc", "a-b", "a b", "täble", "#", "x" * 256])
def test_table_names_that_are_none(client: SdkClient, name: str) -> None:
    """The name is looked at in every operation, before whether there is such a table."""
    row = ots.Row([("id", "a")], [("n", 1)])
    update = ots.Row([("id", "a")], {"PUT": [("n", 1)]})
    reads, writes = ots.BatchGetRowRequest(), ots.BatchWriteRowRequest()
    reads.add(ots.TableInBatchGetRowItem(name, [[("id", "a")]], max_version=1))
    writes.add(ots.TableInBatchWriteRowItem(name, [ots.PutRowItem(row, IGNORE)]))
    for call in (
        lambda: _create(client, name),
        lambda: client.describe_table(name),
        lambda: client.update_table(name, ots.TableOptions(-1, 2)),
        lambda: client.delete_table(name),
        lambda: client.get_row(name, [("id", "a")]),
        lambda: client.put_row(name, row, IGNORE),
        lambda: client.update_row(name, update, IGNORE),
        lambda: client.delete_row(name, [("id", "a")], IGNORE),
        lambda: client.get_range(name, "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)]),
        lambda: client.batch_get_row(reads),
        lambda: client.batch_write_row(writes),
        lambda: client.create_search_index(name, "i", ots.SearchIndexMeta([ots.FieldSchema("n", ots.FieldType.LONG)])),
        lambda: client.describe_search_index(name, "i"),
        lambda: client.delete_search_index(name, "i"),
        lambda: client.search(name, "i", ots.SearchQuery(ots.MatchAllQuery())),
    ):
        with invalid(f"Invalid table name: '{name}'."):
            call()


def test_options_are_looked_at_before_the_table(client: SdkClient) -> None:
    with invalid("TimeToLive cannot be 0 or less than -1."):
        client.update_table("absent", ots.TableOptions(0, None, None))


def test_the_longest_table_name(client: SdkClient) -> None:
    name = "_" + "x" * 254
    _create(client, name)
    assert name in client.list_table()
    client.delete_table(name)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param([], id="no column"),
        pytest.param([(f"k{n}", "STRING") for n in range(5)], id="five columns"),
        pytest.param([("k", "BOOLEAN")], id="boolean"),
        pytest.param([("1k", "STRING")], id="bad name"),
        pytest.param([("k" * 256, "STRING")], id="long name"),
        pytest.param([("k", "INTEGER", ots.PK_AUTO_INCR)], id="auto-increment as partition key"),
        pytest.param([("k", "STRING"), ("n", "STRING", ots.PK_AUTO_INCR)], id="auto-increment of strings"),
        pytest.param(
            [("k", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR), ("m", "INTEGER", ots.PK_AUTO_INCR)],
            id="two auto-increments",
        ),
    ],
)
def test_keys_that_are_none(client: SdkClient, key: list[tuple[Any, ...]]) -> None:
    with invalid():
        _create(client, key=key)
    assert "refused_table" not in client.list_table()


def test_a_key_column_given_twice(client: SdkClient) -> None:
    with invalid("Duplicated primary key name: 'PK0'."):
        _create(client, key=[("PK0", "STRING"), ("PK0", "INTEGER")])


@pytest.mark.parametrize(
    "defined",
    [
        pytest.param([("id", "STRING")], id="named as the key"),
        pytest.param([("a", "STRING"), ("a", "INTEGER")], id="twice"),
        pytest.param([("#a", "STRING")], id="bad name"),
        pytest.param([(f"c{n}", "STRING") for n in range(33)], id="33 columns"),
    ],
)
def test_defined_columns_that_are_none(client: SdkClient, defined: list[tuple[str, str]]) -> None:
    with invalid():
        _create(client, defined=defined)


BAD_OPTIONS = [
    pytest.param(ots.TableOptions(time_to_live=0), id="ttl 0"),
    pytest.param(ots.TableOptions(time_to_live=DAY_S - 1), id="ttl under a day"),
    pytest.param(ots.TableOptions(time_to_live=-2), id="ttl -2"),
    pytest.param(ots.TableOptions(max_version=0), id="no version"),
    pytest.param(ots.TableOptions(max_version=-1), id="versions -1"),
    pytest.param(ots.TableOptions(max_time_deviation=-1), id="deviation -1"),
]


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_options_that_are_none(client: SdkClient, make: TableMaker, options: ots.TableOptions) -> None:
    with invalid():
        _create(client, options=options)
    table = make.table()
    before = client.describe_table(table).table_options
    with invalid():
        client.update_table(table, options)
    assert repr(client.describe_table(table).table_options) == repr(before)


def test_negative_throughput(client: SdkClient) -> None:
    with invalid():
        _create(client, throughput=ots.ReservedThroughput(ots.CapacityUnit(-1, 0)))


def test_an_update_changes_what_it_names(client: SdkClient, make: TableMaker) -> None:
    table = make.table(options=ots.TableOptions(2 * DAY_S, 2, 3_600))
    answer = client.update_table(table, ots.TableOptions(None, 5, None))
    for options in (answer.table_options, client.describe_table(table).table_options):
        assert (options.time_to_live, options.max_version, options.max_time_deviation) == (2 * DAY_S, 5, 3_600)
    client.update_table(table, ots.TableOptions(-1, None, None, allow_update=False))
    options = client.describe_table(table).table_options
    assert (options.time_to_live, options.max_version, options.allow_update) == (-1, 5, False)


def test_reserved_throughput_is_kept(client: SdkClient, table: str) -> None:
    answer = client.update_table(table, reserved_throughput=ots.ReservedThroughput(ots.CapacityUnit(3, 4)))
    capacity = answer.reserved_throughput_details.capacity_unit
    assert (capacity.read, capacity.write) == (3, 4)
    client.update_table(table, reserved_throughput=ots.ReservedThroughput(ots.CapacityUnit(None, 7)))
    capacity = client.describe_table(table).reserved_throughput_details.capacity_unit
    assert (capacity.read, capacity.write) == (3, 7)


def test_an_update_of_nothing(client: SdkClient, table: str) -> None:
    with invalid():
        client.update_table(table)


def test_a_table_that_forbids_updates(client: SdkClient, make: TableMaker) -> None:
    table = make.table(options=ots.TableOptions(allow_update=False))
    put(client, table, [("id", "a")], text="put")
    with invalid():
        client.update_row(table, ots.Row([("id", "a")], {"PUT": [("text", "updated")]}), None)
    assert values(get(client, table, [("id", "a")])) == {"text": "put"}
    client.update_table(table, ots.TableOptions(None, None, None, allow_update=True))
    client.update_row(table, ots.Row([("id", "a")], {"PUT": [("text", "updated")]}), None)
    assert values(get(client, table, [("id", "a")])) == {"text": "updated"}


@pytest.mark.parametrize(
    ("key_type", "points"),
    [
        ("INTEGER", [-5, 0, 1 << 40]),
        ("STRING", ["a", "m" * 20, "ü"]),
        ("BINARY", [bytearray(b"\x40\x00"), bytearray(b"\x80" * 20)]),
    ],
)
def test_a_table_can_be_split_beforehand(sync_client: ots.OTSClient, key_type: str, points: list[Any]) -> None:
    meta = ots.TableMeta("split", [("id", key_type)])
    sync_client._create_table_ex(meta, ots.TableOptions(), NO_THROUGHPUT, split_points=points)
    try:
        answer = send(sync_client, "DescribeTable", wire.DescribeTableRequest(table_name="split").SerializeToString())
        splits = wire.DescribeTableResponse.FromString(answer).shard_splits
        keys = [PlainBufferCodedInputStream(PlainBufferInputStream(split)).read_row()[0] for split in splits]
        assert keys == [[("id", point)] for point in points]
    finally:
        sync_client.delete_table("split")


def test_timeseries_tables_are_none(client: SdkClient) -> None:
    assert list(client.list_timeseries_table()) == []
