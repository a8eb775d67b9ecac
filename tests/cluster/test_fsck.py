"""A stopped cluster is checked: what is whole is told to be, and what is not is found where it is."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tablestore as ots
from support.node_cluster import NodeCluster
from support.sdk import create_split

from lutra.cluster.fsck import check_cluster
from lutra.cluster.map_log import MapLog
from lutra.model.errors import DirectoryInUse
from lutra.objects.opening import open_store

ROWS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a killed node left: a table of three partitions, with a search index."""
    folder = tmp_path_factory.mktemp("stopped")
    with NodeCluster(folder, nodes=1) as cluster:
        client = cluster.client()
        create_split(client, "t", ("id", "STRING"), ["k20", "k40"])
        fields = [ots.FieldSchema("number", ots.FieldType.LONG)]
        client.create_search_index("t", "numbers", ots.SearchIndexMeta(fields))
        for number in range(ROWS):
            client.put_row("t", ots.Row([("id", f"k{number:02}")], [("number", number)]))
        with pytest.raises(DirectoryInUse, match="node-1 is alive"):
            check_cluster(str(folder / "store"), open_store(folder / "store"))
        cluster.nodes[0].stop()  # a check waits for those that did not say that they left
    return folder / "store"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "store"))


def fsck(store: Path) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "lutra.cli.main", "cluster", "fsck", "--store", str(store), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else {"error": ran.stderr}


def tree(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def partition_of(store: Path) -> str:
    """The one in the middle."""
    known = MapLog(open_store(store)).newest()
    return known.partitions_of(known.tables[0].uid)[1].id


def test_what_is_whole_is_clean_and_left_as_it_is(store: Path) -> None:
    before = tree(store)
    status, told = fsck(store)
    assert (status, told["clean"], told["faults"]) == (0, True, [])
    assert (told["tables"], told["partitions"], told["rows"], told["indexes"]) == (1, 3, ROWS, 3)
    assert tree(store) == before


def test_what_the_map_does_not_name_is_told_of(store: Path) -> None:
    """No node deletes it, as those on one machine delete what a crash left."""
    shutil.copytree(store / "rows" / partition_of(store), store / "rows" / "0000000000000000")
    status, told = fsck(store)
    assert (status, told["clean"], told["left_behind"]) == (0, True, [])
    assert any("objects of 1 partitions that the map does not name" in note for note in told["notes"])  # type: ignore[attr-defined]


def test_a_cluster_that_has_lost_its_map_is_not_clean(store: Path) -> None:
    shutil.rmtree(store / "map")
    status, told = fsck(store)
    assert status == 2
    assert "has lost its map" in str(told["error"])


def test_rows_that_are_gone(store: Path) -> None:
    partition = partition_of(store)
    shutil.rmtree(store / "rows" / partition)
    (fault,) = check_cluster(str(store), open_store(store))
    assert (fault.place, fault.table) == (f"partition {partition}", "t")
    assert "its rows are gone" in fault.text


def test_bytes_that_are_others(store: Path) -> None:
    """Of what holds rows: the log of what was written last, and tables."""
    partition = partition_of(store)
    for path in (store / "rows" / partition).glob("**/*.sst"):
        data = bytearray(path.read_bytes())
        if data:  # some only say that a number was taken
            data[len(data) // 3] ^= 1
            path.write_bytes(data)
    status, told = fsck(store)
    assert status == 1
    assert [partition in fault["place"] for fault in told["faults"]] == [True]  # type: ignore[attr-defined]


def test_there_is_no_cluster(tmp_path: Path) -> None:
    status, told = fsck(tmp_path)
    assert status == 2
    assert "there is no cluster" in str(told["error"])
