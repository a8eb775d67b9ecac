"""``lutra cluster`` and ``lutra node`` as processes: up, status, down, and what they say where that cannot be."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots
from support.lutra_command import Ran, run_lutra
from support.ports import free_ports
from support.sdk import NO_THROUGHPUT
from support.waiting import wait_until

from lutra.cluster.identity import make_identity
from lutra.cluster.map import new_partition_id
from lutra.cluster.map_changes import create_instance, create_table
from lutra.cluster.map_log import MapLog
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.tables.keys import KeyCodec

LUTRA = [sys.executable, "-m", "lutra.cli.main"]
WITHIN_S = 90.0
SMALL = ("--memory-mb", "64")


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LUTRA_", "RAY_"))}
    return kept | {"XDG_STATE_HOME": str(folder / "state")}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUTRA, *arguments], capture_output=True, text=True, env=environment(folder), timeout=WITHIN_S, check=False
    )


def run_here(folder: Path, *arguments: str) -> Ran:
    return run_lutra(*arguments, environment={"XDG_STATE_HOME": str(folder / "state")})


def status(folder: Path) -> dict[str, Any]:
    result = run(folder, "cluster", "status", "--store", str(folder / "store"), "--json")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@contextmanager
def up(folder: Path, ports: list[int]) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Two nodes in the foreground, and their endpoints by name."""
    command = [*LUTRA, "cluster", "up", "--store", str(folder / "store"), "--ports", ",".join(map(str, ports)), *SMALL]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(folder))
    assert process.stdout is not None
    try:
        yield process, dict(listening(process.stdout.readline()) for _ in ports)
    finally:
        process.terminate()
        try:
            process.wait(WITHIN_S)
        finally:
            process.kill()
            process.stdout.close()


def listening(line: str) -> tuple[str, str]:
    """Name and endpoint."""
    found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+) \(node (\S+)\)\n", line)
    assert found is not None, line
    return found[2], found[1]


def access_key(text: str) -> tuple[str, str]:
    key_id, secret = re.search(r"access key id +(\S+)", text), re.search(r"access key secret +(\S+)", text)
    assert key_id is not None
    assert secret is not None
    return key_id[1], secret[1]


@pytest.mark.slow
def test_nodes_run_until_ctrl_c_and_one_that_ends_is_started_again(tmp_path: Path) -> None:
    with up(tmp_path, free_ports(2)) as (process, endpoints):
        key = access_key((tmp_path / "stderr").read_text())
        stored = json.loads((tmp_path / "store" / "cluster").read_text())
        assert (stored["access_key_id"], stored["access_key_secret"]) == key
        assert stat.S_IMODE((tmp_path / "store" / "cluster").stat().st_mode) == 0o600
        for endpoint in endpoints.values():
            client = ots.OTSClient(endpoint, *key, "default")
            assert client.list_table() == ()
        meta = ots.TableMeta("t", [("id", "INTEGER")])
        client.create_table(meta, ots.TableOptions(), NO_THROUGHPUT)
        found = status(tmp_path)
        assert {node["name"]: node["endpoint"] for node in found["nodes"]} == endpoints
        [partition] = found["partitions"]
        assert (partition["table"], partition["range"]) == ("default/t", [None, None])
        assert partition["owner"] in endpoints
        assert partition["state"] == "serving"
        assert partition["watermarks"] == {"written": 0, "searchable": 0, "indexed": 0, "persisted": 0}
        shown = run(tmp_path, "cluster", "status", "--store", str(tmp_path / "store"))
        assert all(name in shown.stdout for name in endpoints)
        assert re.search(r"default/t +[0-9a-f]{16}", shown.stdout)

        second = run(tmp_path, "cluster", "up", "--store", str(tmp_path / "store"), "--ports", "0")
        assert second.returncode == 1
        assert f"run already, kept by process {process.pid}" in second.stderr

        killed = found["nodes"][0]
        os.kill(killed["pid"], signal.SIGKILL)
        assert process.stdout is not None
        assert listening(process.stdout.readline()) == (killed["name"], killed["endpoint"])
        pids = {node["pid"] for node in status(tmp_path)["nodes"]}
        assert killed["pid"] not in pids

        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN_S) == 0
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
    assert status(tmp_path)["nodes"] == [], "they have left in good order"
    assert "New access key" in (tmp_path / "stderr").read_text()


@pytest.mark.slow
def test_nodes_in_the_background_are_stopped_by_what_the_store_says_of_them(tmp_path: Path) -> None:
    arguments = ("cluster", "up", "--store", str(tmp_path / "store"), "--ports", "0", "--instance", "photos", *SMALL)
    begun = run(tmp_path, *arguments, "--detach")
    assert begun.returncode == 0, begun.stderr
    name, endpoint = listening(begun.stdout)
    key = access_key(begun.stderr)
    try:
        assert ots.OTSClient(endpoint, *key, "photos").list_table() == ()
        [node] = status(tmp_path)["nodes"]
        assert (node["name"], node["endpoint"], node["answers"]) == (name, endpoint, True)
        kept = re.search(r"process (\d+) keeps them running; log: (\S+)", begun.stderr)
        assert kept is not None
        assert f"listening on {endpoint}" in Path(kept[2]).read_text()
        again = run(tmp_path, *arguments, "--detach")
        assert again.returncode == 1
        assert "run already" in again.stderr
    finally:
        ended = run(tmp_path, "cluster", "down", "--store", str(tmp_path / "store"), "--json")
    assert json.loads(ended.stdout) == {
        "stopped": [
            {"name": "supervisor", "pid": int(kept[1]), "by_force": False},
            {"name": name, "pid": node["pid"], "by_force": False},
        ],
        "elsewhere": [],
    }
    for pid in (node["pid"], int(kept[1])):
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), WITHIN_S)  # type: ignore[misc]
    nothing = run(tmp_path, "cluster", "down", "--store", str(tmp_path / "store"))
    assert nothing.stdout == "no node of it runs on this machine\n"


@pytest.mark.slow
def test_nodes_whose_keeper_was_killed_are_stopped_all_the_same(tmp_path: Path) -> None:
    ports = free_ports(2)
    with up(tmp_path, ports) as (process, endpoints):
        process.kill()
        process.wait(WITHIN_S)
        found = status(tmp_path)
        assert {node["endpoint"] for node in found["nodes"] if node["answers"]} == {*endpoints.values()}
        store = str(tmp_path / "store")
        again = run(tmp_path, "cluster", "up", "--store", store, "--ports", ",".join(map(str, ports)))
        assert again.returncode == 1
        assert re.search(
            r"node \S+ runs already \(process \d+\): `lutra cluster down --store \S+` stops it", again.stderr
        )
        ended = json.loads(run(tmp_path, "cluster", "down", "--store", store, "--json").stdout)
    assert sorted((one["name"], one["by_force"]) for one in ended["stopped"]) == [
        (name, False) for name in sorted(endpoints)
    ]
    assert {one["pid"] for one in ended["stopped"]} == {node["pid"] for node in found["nodes"]}


def test_a_node_that_does_not_stop_by_itself_is_stopped_by_force_and_nobody_else(tmp_path: Path) -> None:
    command = [*LUTRA, "node", "--store", str(tmp_path / "store"), "--name", "alone", "--port", "0", *SMALL]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on http://")
        process.send_signal(signal.SIGSTOP)
        arguments = ("cluster", "down", "--store", str(tmp_path / "store"), "--grace-s", "1", "--json")
        ended = json.loads(run(tmp_path, *arguments).stdout)
        assert ended["stopped"] == [{"name": "alone", "pid": process.pid, "by_force": True}]
        assert process.wait(WITHIN_S) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (("status", "--store", "STORE"), "there is no cluster at STORE: `lutra cluster up --store STORE` makes one", 1),
        pytest.param(("down", "--store", "STORE"), "there is no cluster at STORE", 1, marks=pytest.mark.slow),
        (("up", "--store", "STORE", "--ports", "1,x"), "--ports has numbers with commas between", 2),
        (("up", "--store", "STORE", "--ports", "1,2", "--nodes", "3"), "--ports has a port for each node: 3", 2),
        pytest.param(
            ("up", "--store", "STORE", "--ports", "7,7"), "--ports has a port twice", 2, marks=pytest.mark.slow
        ),
        pytest.param(
            ("up", "--store", "ftp://somewhere"), "a folder or at s3://bucket/prefix", 1, marks=pytest.mark.slow
        ),
        (("up", "--store", "STORE", "--instance", "no name", "--ports", "0"), "invalid instance name 'no name'", 1),
        pytest.param(("up",), "LUTRA_STORE", 2, marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_is_told_with_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], says: str, code: int
) -> None:
    store = str(tmp_path / "store")
    result = run_here(tmp_path, "cluster", *(store if each == "STORE" else each for each in arguments))
    assert result.status == code
    assert says.replace("STORE", store) in result.stderr or says in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (("--host", "0.0.0.0"), "say --address as well", 2),
        pytest.param(("--address", "10.0.0.1:8087"), "--address is http://HOST:PORT", 2, marks=pytest.mark.slow),
        (("--name", "a node"), "not the name of a node: 'a node'", 1),
        pytest.param(("--builders", "elves"), "builders are local, ray", 1, marks=pytest.mark.slow),
    ],
)
def test_a_node_is_not_started_as_it_cannot_be(
    tmp_path: Path, arguments: tuple[str, ...], says: str, code: int
) -> None:
    result = run_here(tmp_path, "node", "--store", str(tmp_path / "store"), *arguments)
    assert (result.status, says in result.stderr) == (code, True), result.stderr


def test_nodes_that_cannot_listen_do_not_come_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = run(tmp_path, "cluster", "up", "--store", str(tmp_path / "store"), "--ports", port, *SMALL)
    assert result.returncode == 1
    assert "cannot listen on 127.0.0.1" in result.stderr
    assert "ended with status 1 as it started" in result.stderr


def test_keys_that_clients_chose_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    """Neither by a terminal nor as the markup of tables, in which a closing tag alone is an error."""
    store = LocalStore(tmp_path / "store")
    make_identity(store)
    schema = TableSchema("t", (KeyColumn("k", ColumnType.STRING),), splits=("[/x]", "a[red]b", "b\x1b]0;title\x07"))
    bounds = [KeyCodec(b"", schema.key).encode_partition_value(value) for value in schema.splits]
    ids = [new_partition_id() for _ in range(4)]
    MapLog(store).change(lambda of: create_table(create_instance(of, "main"), "main", schema, 1, ids, bounds))
    result = run_here(tmp_path, "cluster", "status", "--store", str(tmp_path / "store"))
    assert result.status == 0, result.stderr
    assert "… [/x]" in result.stdout
    assert "[/x] … a[red]b" in result.stdout
    assert r"b\x1b]0;title\x07 …" in result.stdout
    assert "\x1b" not in result.stdout
