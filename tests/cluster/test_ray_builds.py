"""A cluster whose segments are built by tasks of Ray over a bucket, while builders and all of Ray are killed."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
import tablestore as ots
from support.node_cluster import NodeCluster
from support.s3_server import S3Server
from support.waiting import wait_until

from bench import vector_table
from lutra.cluster.ray_head import RayHead

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DIMENSION = 256
"""A thousand rows a MB: a buffer is full after eight thousand, and is built."""
ROWS = 30_000
WAIT_S = 300.0


def metric(cluster: NodeCluster, name: str) -> float:
    """The sum over all nodes."""
    total = 0.0
    for endpoint in cluster.endpoints:
        with urllib.request.urlopen(f"{endpoint}/metrics", timeout=30) as answer:
            told = answer.read().decode()
        total += sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", told, re.MULTILINE))
    return total


def kill_builders(head: RayHead) -> int:
    killed = 0
    for process in psutil.Process(head.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "lutra.index.builds.builder" in process.cmdline():
                process.kill()
                killed += 1
    return killed


def test_builds_go_on_whoever_is_killed(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    head = RayHead(1, 1 << 30)
    head.start()
    vectors = np.random.default_rng(3).standard_normal((ROWS, DIMENSION)).astype("<f4")
    store = s3.url("ray-builds")
    cluster = NodeCluster(
        tmp_path / "nodes", 2, store=store, environment=head.for_nodes, arguments=("--builders", "ray")
    )
    try:
        with cluster:
            client = cluster.client()
            vector_table.create(client, DIMENSION)
            calls = list(vector_table.put_calls(vectors))
            for number, call in enumerate(calls):
                call(cluster.client(number % 2))
                if number % 10 == 9:
                    kill_builders(head)
                if number == len(calls) // 2:
                    wait_until(lambda: metric(cluster, "lutra_remote_builds_done_total") > 0, WAIT_S)
                    psutil.Process(head.pid).kill()
                    head.start()
            wait_until(lambda: vector_table.count(client) == ROWS, WAIT_S)
            wait_until(lambda: metric(cluster, "lutra_remote_builds") == 0, WAIT_S)
            assert metric(cluster, "lutra_remote_builds_done_total") > 1
            assert metric(cluster, "lutra_remote_builders_reachable") > 0
            for number in (0, ROWS // 2, ROWS - 1):
                nearest = ots.KnnVectorQuery("embedding", 1, vectors[number].tolist())
                asked = ots.SearchQuery(nearest, sort=ots.Sort([ots.ScoreSort()]), limit=1)
                found = client.search(vector_table.TABLE, vector_table.INDEX, asked)
                assert [row[0][0][1] for row in found.rows] == [vector_table.key_of(number)]
            for node in cluster.nodes:
                node.stop()
        checked = subprocess.run(
            [sys.executable, "-m", "lutra.cli.main", "cluster", "fsck", "--store", store],
            capture_output=True,
            text=True,
            env=cluster.environment,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
    except BaseException:
        print(cluster.log_text()[-20_000:])
        raise
    finally:
        head.stop()
