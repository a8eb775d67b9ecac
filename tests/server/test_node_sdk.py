"""The official Node SDK's own samples of tables and rows, as they come in its package, against a real server.

The samples take the endpoint, the key and the instance from the environment, and print what they were answered. What
they left in the tables is read by the Python SDK.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots
from support.node import environment, installed
from support.sdk import NO_THROUGHPUT, get, put, values
from support.server import ServerProcess
from support.waiting import wait_until

pytestmark = pytest.mark.slow

SAMPLE_TIMEOUT_S = 60

SYNC = "samples"
ASYNC = "samples-async(node6)"
RUN = {
    f"{ASYNC}/createTable.js",
    f"{ASYNC}/transaction.js",
    f"{SYNC}/AutoIncrement.js",
    f"{SYNC}/batchGetRow.js",
    f"{SYNC}/batchWriteRow.js",
    f"{SYNC}/conditionUpdateRow.js",
    f"{SYNC}/createGlobalIndex.js",
    f"{SYNC}/createTable.js",
    f"{SYNC}/createTableWithGlobalIndex.js",
    f"{SYNC}/deleteGlobalIndex.js",
    f"{SYNC}/getRowByGlobalIndex.js",
    f"{SYNC}/deleteRow.js",
    f"{SYNC}/deleteTable.js",
    f"{SYNC}/describeTable.js",
    f"{SYNC}/domainError.js",
    f"{SYNC}/getRange.js",
    f"{SYNC}/getRow.js",
    f"{SYNC}/increment.js",
    f"{SYNC}/listTable.js",
    f"{SYNC}/multiVersion.js",
    f"{SYNC}/primarykey.js",
    f"{SYNC}/putRow.js",
    f"{SYNC}/updateRow.js",
    f"{SYNC}/updateTable.js",
}
CONFIGURATION = {f"{SYNC}/client.js", f"{SYNC}/stsTokenClient.js", f"{ASYNC}/client.js"}
OF_OTHER_THINGS = {
    f"{ASYNC}/searchPaginateByToken.js",
    f"{ASYNC}/token.js",
    f"{SYNC}/computeSplits.js",
    f"{SYNC}/createSearchIndex.js",
    f"{SYNC}/deleteSearchIndex.js",
    f"{SYNC}/describeSearchIndex.js",
    f"{SYNC}/listSearchIndex.js",
    f"{SYNC}/parallelScan.js",
    f"{SYNC}/search.js",
    f"{SYNC}/searchPaginateByToken.js",
    f"{SYNC}/sql.js",
    f"{SYNC}/updateSearchIndex.js",
}
"""Search indexes and SQL."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK as npm installs it."""
    return installed(tmp_path_factory.mktemp("node"))


@dataclass(frozen=True)
class Node:
    """Runs samples against a server."""

    package: Path
    server: ServerProcess

    def run(self, sample: str, status: int = 0) -> str:
        """What a sample prints; it ends with ``status`` and complains of nothing but of its own age."""
        assert sample in RUN
        done = subprocess.run(
            ["node", self.package / sample],
            env=environment(self.server),
            capture_output=True,
            text=True,
            timeout=SAMPLE_TIMEOUT_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (status, ""), done
        return done.stdout

    def succeed(self, sample: str, times: int = 1) -> str:
        """What a sample prints that tells of so many successes and of no error."""
        printed = self.run(f"{SYNC}/{sample}.js")
        assert "error" not in printed.lower().replace("errorcode", "").replace("errormessage", ""), printed
        assert printed.count("success:") == times, printed
        return printed

    def answered(self, operation: str) -> int:
        """How many calls of an operation the server has answered with 200."""
        with urllib.request.urlopen(f"{self.server.endpoint}/metrics") as response:
            lines = response.read().decode().splitlines()
        wanted = f'lutra_requests_total{{code="",operation="{operation}",status="200"}} '
        return sum(int(float(line.removeprefix(wanted))) for line in lines if line.startswith(wanted))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("samples") / "data") as process:
        yield process
    assert "Traceback" not in process.log_path.read_text()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> ots.OTSClient:
    return server.client()


@pytest.fixture
def node(package: Path, server: ServerProcess, client: ots.OTSClient) -> Iterator[Node]:
    """Each test begins and ends without tables."""
    yield Node(package, server)
    for table in client.list_table():
        client.delete_table(table)


Create = Callable[[str, list[tuple[str, str]]], None]


@pytest.fixture
def create(client: ots.OTSClient) -> Create:
    """Makes a table that samples take to be there."""

    def make(name: str, key: list[tuple[str, str]], versions: int = 1) -> None:
        client.create_table(ots.TableMeta(name, key), ots.TableOptions(-1, versions), NO_THROUGHPUT)

    return make


def last_json(printed: str) -> Any:
    """What the last line says, which a sample printed as JSON."""
    return json.loads(printed.strip().splitlines()[-1])


def printed_json(printed: str) -> list[Any]:
    """What stands behind each ``success:``."""
    return [json.loads(part) for part in printed.split("success:")[1:]]


def test_no_sample_is_forgotten(package: Path) -> None:
    there = {
        f"{folder}/{path.name}" for folder in (SYNC, ASYNC) for path in (package / folder).iterdir() if path.is_file()
    }
    assert there == RUN | CONFIGURATION | OF_OTHER_THINGS


def test_tables(node: Node, client: ots.OTSClient, create: Create) -> None:
    assert "CreateTableResponse" in node.run(f"{ASYNC}/createTable.js")
    assert "tableNames: [ 'sampleTable' ]" in node.succeed("listTable")
    described = node.succeed("describeTable")
    for part in ("tableName: 'sampleTable'", "timeToLive: -1", "maxVersions: 1", "tableStatus: 1"):
        assert part in described
    assert "maxVersions: 10" in node.succeed("updateTable")
    assert client.describe_table("sampleTable").table_options.max_version == 10
    # The table is there already: the sample prints what it caught.
    assert "OTSObjectAlreadyExist" in node.run(f"{ASYNC}/createTable.js")
    create("nestedTag", [("id", "STRING")])
    node.succeed("deleteTable")
    assert list(client.list_table()) == ["sampleTable"]
    # It throws on purpose once it has its answer.
    printed = node.run(f"{SYNC}/domainError.js", status=1)
    assert "tableNames: [ 'sampleTable' ]" in printed
    assert "error: Error: test" in printed


def test_a_table_with_a_stream(node: Node) -> None:
    node.succeed("createTable")
    described = node.succeed("describeTable")
    assert "enableStream: true" in described
    assert "expirationTime: 24" in described


def test_secondary_indexes(node: Node, client: ots.OTSClient) -> None:
    node.succeed("createTableWithGlobalIndex")
    put(client, "sdkGlobalTest", [("pk1", 1), ("pk2", 2)], col1=3, col2=4)
    node.succeed("createGlobalIndex", times=2)
    # One sample reads an index that none makes.
    client.create_secondary_index("sdkGlobalTest", ots.SecondaryIndexMeta("index1", ["pk2"], ["col1"]), True)
    assert indexes(client) == {"sdkIndex1", "sdkIndex2", "noBase", "hasBase", "index1"}

    def read() -> Any:
        [answer] = printed_json(node.succeed("getRowByGlobalIndex"))
        return answer["row"]

    wait_until(lambda: bool(read()), SAMPLE_TIMEOUT_S)
    assert [key["name"] for key in read()["primaryKey"]] == ["pk2", "pk1"]
    assert [column["columnName"] for column in read()["attributes"]] == ["col1"]
    node.succeed("deleteGlobalIndex")
    assert indexes(client) == {"sdkIndex2", "noBase", "hasBase", "index1"}
    for name in indexes(client):
        client.delete_secondary_index("sdkGlobalTest", name)


def indexes(client: ots.OTSClient) -> set[str]:
    return {index.index_name for index in client.describe_table("sdkGlobalTest").secondary_indexes}


def test_rows(node: Node, client: ots.OTSClient) -> None:
    first, second = [("gid", 20013), ("uid", 20013)], [("gid", 8), ("uid", 80)]
    node.run(f"{ASYNC}/createTable.js")
    node.succeed("putRow")
    assert values(get(client, "sampleTable", first)) == {
        "col1": "表格存储",
        "col2": "2",
        "col3": 3.1,
        "col4": -0.32,
        "col5": 123456789,
    }
    # The filter of the sample lets the row through.
    assert "attributes: [ [Object], [Object], [Object], [Object], [Object] ]" in node.succeed("getRow")
    node.succeed("updateRow")
    assert values(get(client, "sampleTable", [("gid", 9), ("uid", 90)])) == {"col4": 4, "col5": "5", "col6": 7}
    assert node.succeed("batchWriteRow").count("isOk: true") == 2
    assert values(get(client, "sampleTable", second)) == {"attrCol1": "test3", "attrCol2": "test4"}
    assert values(get(client, "sampleTable", [("gid", 8), ("uid", 81)])) == {"attrCol1": "test1", "attrCol2": "test2"}
    [answer] = printed_json(node.succeed("batchGetRow"))
    [[found, absent]] = answer["tables"]
    assert [column["columnName"] for column in found["attributes"]] == ["col2", "col3"]
    assert (absent["isOk"], absent["primaryKey"]) == (True, None)

    read = last_json(node.run(f"{SYNC}/getRange.js"))
    assert [[key["name"] for key in row["primaryKey"]] for row in read] == [["gid", "uid"]] * 4
    assert [len(row["attributes"]) for row in read] == [2, 2, 3, 5]

    node.succeed("deleteRow")
    assert get(client, "sampleTable", first) is None


def test_a_condition(node: Node, client: ots.OTSClient, create: Create) -> None:
    """The sample writes only where the name and the address are those it asks for."""
    key = [("gid", 20013), ("uid", 20013)]
    create("sampleTable", [("gid", "INTEGER"), ("uid", "INTEGER")])
    for row, is_met in (({"name": "jane", "addr": "china"}, False), ({"name": "john", "addr": "china"}, True)):
        put(client, "sampleTable", key, **row)
        if is_met:
            node.succeed("conditionUpdateRow")
        else:
            assert node.run(f"{SYNC}/conditionUpdateRow.js").startswith("error: 403:")
        assert values(get(client, "sampleTable", key)) == row | ({"col1": "test6"} if is_met else {})


def test_increments(node: Node, client: ots.OTSClient, create: Create) -> None:
    create("orderHistory", [("order_id", "STRING")])
    put(client, "orderHistory", [("order_id", "order_id_001")], increment=40)
    # The two calls are made side by side: which is first is not said. Of a batch Node prints as JSON no more than this.
    one, batch = sorted(printed_json(node.succeed("increment", times=2)), key=lambda answer: "tables" in answer)
    [after] = one["row"]["attributes"]
    assert after["columnName"] == "increment"
    assert after["columnValue"] in (41, 42)
    assert batch["tables"] == [{"tableName": "orderHistory"}]
    assert values(get(client, "orderHistory", [("order_id", "order_id_001")])) == {"increment": 42}


def test_keys_of_all_types_and_an_automatic_one(node: Node, client: ots.OTSClient) -> None:
    printed = node.run(f"{SYNC}/primarykey.js")
    assert "error" not in printed
    assert [line for line in printed.splitlines() if line.endswith("success")] == [
        "create table success",
        "put row success",
    ]
    assert "get row success: {" in printed
    keys = client.describe_table("autoIncTable").table_meta.schema_of_primary_key
    assert [key[:2] for key in keys] == [
        ("stringPK", "STRING"),
        ("integerPK", "INTEGER"),
        ("binaryPK", "BINARY"),
        ("autoIncPK", "INTEGER"),
    ]
    # This one only declares what it could do.
    assert node.run(f"{SYNC}/AutoIncrement.js") == ""


def test_versions(node: Node, create: Create) -> None:
    """The sample reads ten versions, and drops what it is answered: the server tells that it was answered."""
    create("maxVersionsTestTable", [("pk1", "STRING"), ("pk2", "STRING")])
    before = node.answered("GetRow")
    assert node.run(f"{SYNC}/multiVersion.js") == ""
    assert node.answered("GetRow") == before + 1


def test_a_transaction(node: Node, client: ots.OTSClient, create: Create) -> None:
    create("sample", [("id", "STRING")])
    assert node.run(f"{ASYNC}/transaction.js") == ""
    assert node.answered("CommitTransaction") == 1
    row = get(client, "sample", [("id", "a6ef32e3-e058-4b71-b39b-16ad2f6b1afb")])
    assert values(row) == {"col": "updated"}
