"""The official Go SDK's own tests, unchanged: tables, rows, ranges, batches and streams."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import golang
from support.sdk import get, put, values
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess
from support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN_TIMEOUT_S = 600
TESTS = 24
SAMPLE = """package main

import (
	"os"

	"github.com/aliyun/aliyun-tablestore-go-sdk/sample"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func main() {
	client := tablestore.NewClient(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	sample.PutRowWithTxnSample(client, "sampletable")
}
"""


def test_the_suite_of_the_sdk(tmp_path: Path) -> None:
    module = golang.installed(tmp_path / "go")
    with ServerProcess(tmp_path / "data") as server:
        environment = {
            "OTS_TEST_ENDPOINT": server.endpoint,
            "OTS_TEST_INSTANCENAME": server.instance,
            "OTS_TEST_KEYID": ACCESS_KEY_ID,
            "OTS_TEST_SECRET": ACCESS_KEY_SECRET,
        }
        outcomes = golang.run_suite(module, environment, RUN_TIMEOUT_S)
        assert "Traceback" not in server.log_path.read_text()
    assert {name for name, outcome in outcomes.items() if outcome != "PASS"} == set()
    assert len(outcomes) >= TESTS
    assert {"TestStream", "TestListStream", "TestCreateTableWithStream"} <= set(outcomes)


def test_the_sample_of_a_transaction(tmp_path: Path) -> None:
    """As it is in the SDK: a row is written, read, and another made of it, in one transaction."""
    module = golang.installed(tmp_path / "go")
    with ServerProcess(tmp_path / "data") as server:
        access = (server.endpoint, server.instance, ACCESS_KEY_ID, ACCESS_KEY_SECRET)
        printed = golang.run(module, SAMPLE, *access, timeout_s=RUN_TIMEOUT_S)
        rows = [get(server.client(), "sampletable", [("userid", "user2"), ("pk2", number)]) for number in (2, 3)]
    assert "failed" not in printed.lower()
    assert "finish txn: " in printed
    assert [values(row)["col2"] for row in rows] == [3, 20]


def test_the_sample_of_secondary_indexes(tmp_path: Path) -> None:
    """As it is in the SDK: an index comes with its table, another is made and deleted. And it follows rows."""
    module = golang.installed(tmp_path / "go")
    sample = SAMPLE.replace("PutRowWithTxnSample", "CreateTableWithGlobalIndexSample")
    with ServerProcess(tmp_path / "data") as server:
        access = (server.endpoint, server.instance, ACCESS_KEY_ID, ACCESS_KEY_SECRET)
        printed = golang.run(module, sample, *access, timeout_s=RUN_TIMEOUT_S)
        client = server.client()
        put(client, "sampletable", [("pk1", "a"), ("pk2", 7)], definedcol1="b", other="c")
        wait_until(lambda: get(client, "testindex1", [("pk1", "a"), ("pk2", 7)]) is not None, 30)
        row = get(client, "testindex1", [("pk1", "a"), ("pk2", 7)])
    assert "failed" not in printed.lower()
    assert "drop index finished" in printed
    assert "indexinfo: &{testindex1 [pk1] [definedcol1 definedcol2]" in printed
    assert values(row) == {"definedcol1": "b"}
