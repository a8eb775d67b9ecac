"""``lutra backup`` and ``lutra restore``: beside a server, and over what is damaged, in use, and not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.lutra_command import run_lutra
from support.reading import make, write_out
from support.server import ServerProcess

import lutra


def told(*arguments: str, status: int = 0) -> Any:
    done = run_lutra(*arguments, "--json")
    assert done.status == status, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with lutra.connect(tmp_path / "data") as database:
        write_out(database, make(database, 50))
    return tmp_path / "data"


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "backups")


def test_beside_a_server_and_served_again(tmp_path: Path, data: Path, place: str) -> None:
    with ServerProcess(data, instance="default"):
        made = told("backup", "create", place, "--data", str(data))
        again = told("backup", "create", place, "--data", str(data))
    assert made["new_bytes"] > again["new_bytes"]
    assert [one["id"] for one in sorted(told("backup", "list", place), key=lambda one: one["taken"])] == [
        made["id"],
        again["id"],
    ]
    restored = tmp_path / "restored"
    assert told("restore", place, "--data", str(restored), "--backup", made["id"])["id"] == made["id"]
    assert told("fsck", "--data", str(restored))["clean"]
    with ServerProcess(restored, instance="default") as server:
        client = server.client()
        assert list(client.list_table()) == ["t"]
        _, row, _ = client.get_row("t", [("id", 7)], max_version=1)
        assert {name: value for name, value, _ in row.attribute_columns}["s"] == "s0"


def test_what_people_read(tmp_path: Path, data: Path, place: str) -> None:
    done = run_lutra("backup", "create", place, "--data", str(data))
    id = done.stdout.split()[1]
    assert done.stdout.startswith(f"backup {id} of {data} is at {place}: ")
    assert done.stdout.endswith(" of it new\n")
    assert run_lutra("backup", "list", place).stdout.startswith(id)
    assert run_lutra("backup", "verify", place).stdout.startswith("clean: 1 backup with ")
    done = run_lutra("restore", place, "--data", str(tmp_path / "restored"))
    assert done.stdout.startswith(f"{tmp_path / 'restored'} is as {data} was at 20")
    run_lutra("backup", "create", place, "--data", str(data))
    done = run_lutra("backup", "prune", place, "--keep", "1", "--dry-run")
    assert done.stdout.splitlines()[0].startswith("would delete ")
    assert len(told("backup", "list", place)) == 2
    done = run_lutra("backup", "prune", place, "--keep", "1")
    assert "1 backups and " in done.stdout
    (kept,) = told("backup", "list", place)
    chunks = len(list(Path(place, "chunks").iterdir()))
    deleted = {"deleted": [kept["id"]], "kept": [], "chunks": chunks, "dry_run": False}
    assert told("backup", "delete", place, kept["id"]) == deleted
    assert run_lutra("backup", "list", place).stdout == f"there is no backup at {place}\n"


def test_damage_is_a_status_of_its_own(tmp_path: Path, data: Path, place: str) -> None:
    made = told("backup", "create", place, "--data", str(data))
    chunk = max(Path(place, "chunks").iterdir(), key=lambda path: path.stat().st_size)
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1])
    done = run_lutra("backup", "verify", place)
    assert done.status == 1
    assert chunk.name in done.stdout
    assert made["id"] in done.stdout
    found = told("backup", "verify", place, made["id"], status=1)
    assert not found["clean"]
    assert found["faults"][0]["files"]
    done = run_lutra("restore", place, "--data", str(tmp_path / "restored"))
    assert (done.status, done.stdout) == (1, "")
    assert chunk.name in done.stderr
    done = run_lutra("table", "list", "--data", str(tmp_path / "restored"))
    assert done.status != 0
    chunk.write_bytes(whole)
    assert told("restore", place, "--data", str(tmp_path / "restored"))["id"] == made["id"]
    Path(place, "backups", made["id"]).write_bytes(b"")
    assert "cannot be read" in run_lutra("backup", "list", place).stdout
    assert "error" in told("backup", "list", place)[0]


def test_what_is_wrong_is_told(tmp_path: Path, data: Path, place: str) -> None:
    for command in (["list"], ["verify"], ["prune", "--keep=1"], ["delete", "20260131T235959Z-0a1b2c3d"]):
        done = run_lutra("backup", command[0], place, *command[1:])
        assert (done.status, done.stderr) == (1, f"Error: there are no backups at {place}\n")
    done = run_lutra("backup", "create", str(data / "within"), "--data", str(data))
    assert done.status == 2
    assert "within the data directory" in done.stderr
    done = run_lutra("backup", "create", place, "--data", str(tmp_path / "nowhere"))
    assert done.status == 1
    assert not Path(place).exists()
    told("backup", "create", place, "--data", str(data))
    done = run_lutra("restore", place, "--data", str(data))
    assert (done.status, "is not empty" in done.stderr) == (2, True)
    done = run_lutra("restore", place, "--data", str(tmp_path / "restored"), "--backup", "yesterday")
    assert (done.status, "no id of a backup" in done.stderr) == (2, True)
    assert not (tmp_path / "restored").exists()


def test_the_place_may_come_from_the_environment(data: Path, place: str) -> None:
    done = run_lutra("backup", "create", "--data", str(data), environment={"LUTRA_BACKUPS": place})
    assert done.status == 0
    assert run_lutra("backup", "list", environment={"LUTRA_BACKUPS": place}).status == 0


def test_help_teaches() -> None:
    for command in ("backup", "backup create", "backup list", "backup verify", "backup prune", "restore"):
        done = run_lutra(*command.split(), "--help")
        assert done.status == 0
        assert f"  lutra {command} " in done.stdout
