"""A partition that cannot be opened: clients of a real node are told why, `lutra cluster status` shows it, all else
goes on, and so does the partition once it is whole again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tablestore as ots
from support.node_cluster import NodeCluster
from support.waiting import wait_until

WITHIN_S = 60.0


def status(cluster: NodeCluster, *options: str) -> str:
    command = [sys.executable, "-m", "lutra.cli.main", "cluster", "status", "--store", cluster.store_address, *options]
    return subprocess.run(
        command, capture_output=True, text=True, env=cluster.environment, timeout=WITHIN_S, check=True
    ).stdout


def read(client: ots.OTSClient, number: int) -> object:
    return client.get_row("t", [("id", number)], max_version=1)[1]


@pytest.mark.slow
def test_a_damaged_partition_is_told_of_until_it_is_whole(tmp_path: Path) -> None:
    with NodeCluster(tmp_path, nodes=1) as cluster:
        client = cluster.client()
        client._create_table_ex(
            ots.TableMeta("t", [("id", "INTEGER")]),
            ots.TableOptions(),
            ots.ReservedThroughput(ots.CapacityUnit(0, 0)),
            split_points=[10],
        )
        for number in (1, 11):
            client.put_row("t", ots.Row([("id", number)], [("n", number)]))
        whole, damaged = (row.entry.id for row in cluster.status().partitions)
        (node,) = cluster.nodes
        node.kill()
        manifests = list((Path(cluster.store_address) / "rows" / damaged / "manifest").glob("*"))
        kept = {path: path.read_bytes() for path in manifests}
        for path in manifests:
            path.write_bytes(b"no manifest")
        node.start()
        node.wait_joined()

        def row() -> dict[str, object]:
            (found,) = [each for each in json.loads(status(cluster, "--json"))["partitions"] if each["id"] == damaged]
            return dict(found)

        wait_until(lambda: (row()["failed"] or {}).get("tries", 0) >= 3, WITHIN_S)  # type: ignore[attr-defined]
        told = row()
        assert (told["state"], told["owner"], told["watermarks"]) == ("failed", node.name, None)
        shown = status(cluster)
        assert f"partition {damaged} could not be opened " in shown
        assert str(told["failed"]["error"])[:20] in shown  # type: ignore[index]
        with pytest.raises(ots.OTSServiceError, match=f"{damaged} could not be opened . times") as raised:
            read(client, 11)
        assert raised.value.get_error_code() == "OTSInternalServerError"
        assert str(tmp_path) not in raised.value.get_error_message()
        assert read(client, 1) is not None
        assert whole not in shown.partition("could not be opened")[2]

        for path, data in kept.items():
            path.write_bytes(data)
        cluster.wait_serving()
        assert read(client, 11) is not None
        assert row()["failed"] is None
