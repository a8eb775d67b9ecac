"""A server that is stopped and started again: instances, tables, rows and indexes are as they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tablestore as ots
from support.sdk import IGNORE, get, load, put, values
from support.searching import BY_SCORE, field, ids, packed, search, vector_field
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import FieldType, KnnVectorQuery, MatchAllQuery, TermQuery

KEY = [("id", "row")]
CHOSEN = [("id", "row"), ("n", ots.PK_AUTO_INCR)]


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of two instances that a test may stop."""
    data_dir = tmp_path_factory.mktemp("restart") / "data"
    with ServerProcess(data_dir, arguments=("--instance", "second")) as server:
        yield server
    assert "Traceback" not in server.log_path.read_text()


def test_rows_and_definitions(own_server: ServerProcess) -> None:
    client = own_server.client()
    options = ots.TableOptions(172_800, 3, 3_600)
    table = TableMaker(client).table(defined=[("a", "STRING")], options=options)
    counted = TableMaker(client).table([("id", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR)])
    put(client, table, KEY, a="text", b=bytearray(b"\x00\xff"), c=-1)
    _, before = client.put_row(counted, ots.Row(CHOSEN, [("a", 1)]), IGNORE, ots.ReturnType.RT_PK)
    described = client.describe_table(table)

    own_server.stop()
    own_server.start()

    client = own_server.client()
    assert set(client.list_table()) == {table, counted}
    after = client.describe_table(table)
    assert repr(after.table_options) == repr(described.table_options)
    assert repr(after.table_meta) == repr(described.table_meta)
    assert values(get(client, table, KEY)) == {"a": "text", "b": bytearray(b"\x00\xff"), "c": -1}
    _, following = client.put_row(counted, ots.Row(CHOSEN, [("a", 2)]), IGNORE, ots.ReturnType.RT_PK)
    assert following.primary_key[1][1] > before.primary_key[1][1]


def test_an_index(own_server: ServerProcess) -> None:
    make = TableMaker(own_server.client())
    table = make.table()
    vector = vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN)
    index = make.index(table, [field("n", FieldType.LONG), vector])
    load(own_server.client(), table, [([("id", f"{n:03d}")], {"n": n, "v": packed([n, 0.0])}) for n in range(500)])

    own_server.stop()
    own_server.start()

    client = own_server.client()
    assert client.list_search_index(table) == [(table, index)]
    response = search(client, table, index, MatchAllQuery(), get_total_count=True)
    assert response.total_count == 500
    nearest = search(client, table, index, KnnVectorQuery("v", 3, [250.2, 0.0]), limit=3, sort=BY_SCORE)
    assert ids(nearest) == ["250", "251", "249"]
    put(client, table, [("id", "after")], n=1_000)
    TableMaker(client).wait_synced(table, index)
    assert ids(search(client, table, index, TermQuery("n", 1_000))) == ["after"]


def test_each_instance_has_its_own_tables(own_server: ServerProcess) -> None:
    first, second = own_server.client(), own_server.client(instance_name="second")
    table = TableMaker(first).table()
    assert second.list_table() == ()
    meta = ots.TableMeta(table, [("id", "STRING")])
    second.create_table(meta, ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
    for client, text in ((first, "first"), (second, "second")):
        put(client, table, KEY, text=text)
        client.create_search_index(table, "index", ots.SearchIndexMeta([field("text", FieldType.KEYWORD)]))
        TableMaker(client).wait_synced(table, "index")
    own_server.stop()
    own_server.start()
    for name, text in (("test", "first"), ("second", "second")):
        client = own_server.client(instance_name=name)
        assert values(get(client, table, KEY)) == {"text": text}
        TableMaker(client).wait_synced(table, "index")
        for other in ("first", "second"):
            found = search(client, table, "index", TermQuery("text", other))
            assert ids(found) == (["row"] if other == text else [])
    first = own_server.client()
    first.delete_search_index(table, "index")
    first.delete_table(table)
    assert own_server.client(instance_name="second").list_table() == (table,)
