"""A server whose rows are on an object store: killed, replaced by another on other disks, and taken over by one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tablestore as ots
from click.testing import CliRunner
from support.s3_server import S3Server
from support.server import ROWS_VARIABLE, ServerProcess

from lutra.cli.serve import serve

ROOT = Path(__file__).parents[2]


def create(client: ots.OTSClient) -> None:
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client.create_table(ots.TableMeta("t", [("id", "INTEGER")]), ots.TableOptions(), throughput)


def put(client: ots.OTSClient, *numbers: int) -> None:
    for number in numbers:
        client.put_row("t", ots.Row([("id", number)], [("v", f"of {number}")]))


def numbers(client: ots.OTSClient) -> list[int]:
    _, _, rows, _ = client.get_range("t", "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)], max_version=1)
    assert [row.attribute_columns[0][1] for row in rows] == [f"of {row.primary_key[0][1]}" for row in rows]
    return [row.primary_key[0][1] for row in rows]


def test_a_server_is_replaced_by_one_on_other_disks(tmp_path: Path) -> None:
    rows = ("--rows", str(tmp_path / "rows"))
    with ServerProcess(tmp_path / "one", arguments=rows) as server:
        create(server.client())
        put(server.client(), 1, 2, 3)
        server.kill()
        server.start()
        assert numbers(server.client()) == [1, 2, 3]
        put(server.client(), 4)
        server.kill()
    shutil.rmtree(tmp_path / "one")
    with ServerProcess(tmp_path / "two", arguments=rows) as server:
        assert numbers(server.client()) == [1, 2, 3, 4]


def test_the_second_of_two_servers_takes_rows_from_the_first(tmp_path: Path) -> None:
    rows = ("--rows", str(tmp_path / "rows"))
    with ServerProcess(tmp_path / "one", arguments=rows) as first:
        create(first.client())
        put(first.client(), 1)
        with ServerProcess(tmp_path / "two", arguments=rows) as second:
            assert numbers(second.client()) == [1]
            with pytest.raises(ots.OTSServiceError, match="OTSInternalServerError"):
                put(first.client(), 2)
            with pytest.raises(ots.OTSServiceError, match="OTSInternalServerError"):
                numbers(first.client())
            put(second.client(), 3)
            assert numbers(second.client()) == [1, 3]
        first.kill()
        first.start()
        assert numbers(first.client()) == [1, 3]


def test_rows_without_a_place_are_beside_objects(tmp_path: Path, s3: S3Server) -> None:
    objects = s3.url("beside")
    with ServerProcess(tmp_path / "data", arguments=("--rows", "--objects", objects)) as server:
        create(server.client())
        put(server.client(), 1)
    assert (s3.folder / "data" / "lutra-tests" / "beside" / "rows" / "manifest").is_dir()
    refused = CliRunner().invoke(serve, ["--data", str(tmp_path / "other"), "--rows"])
    assert refused.exit_code == 2
    assert "name that, or a place" in refused.output
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_all_of_the_sdk_works_with_rows_on_an_object_store() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/server/sdk", "-q", "-x", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, ROWS_VARIABLE: "slatedb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-8_000:]


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_rows_of_the_sdk_work_on_s3(s3_server: S3Server) -> None:
    of = ("rows", "batches", "ranges", "transactions", "secondary_indexes", "restart")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        + [f"tests/server/sdk/test_{name}.py" for name in of],
        cwd=ROOT,
        env={**os.environ, **s3_server.environment, ROWS_VARIABLE: s3_server.url("sdk")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-8_000:]
