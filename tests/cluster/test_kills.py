"""kill -9 of nodes, builders and Ray's head under load: nothing acknowledged is lost, and no answer is wrong."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil
import pytest
from support.cluster_kills import KillRounds
from support.node_cluster import NodeCluster, NodeRun

from lutra.cluster.fsck import check_cluster
from lutra.cluster.ray_head import RayHead
from lutra.objects.opening import open_store

RESUMES_WITHIN_S = 60
"""The bound of the test, on any machine; what is to be said is what it takes where nothing else runs."""
MB = 1024 * 1024


def node_killer(node: NodeRun) -> Callable[[], None]:
    def kill() -> None:
        if node.is_running:
            node.kill()
        node.start()

    return kill


@pytest.mark.slow
def test_a_node_is_killed_under_load(tmp_path: Path) -> None:
    with NodeCluster(tmp_path) as cluster:
        rounds = KillRounds(cluster, {"node-2": node_killer(cluster.nodes[1])}, seed=1)
        done = rounds.run(RESUMES_WITHIN_S)
        assert done.writes > 20
        rounds.check_searched()
        assert "Traceback" not in cluster.log_text()
    assert check_cluster(cluster.store_address, open_store(cluster.store_address)) == []


def kill_builder(head: RayHead, rng: random.Random) -> None:
    """One that builds, where there is one."""
    assert head.pid is not None
    workers = [each for each in psutil.Process(head.pid).children(recursive=True) if "ray::" in each.name()]
    for worker in rng.sample(workers, min(1, len(workers))):
        worker.kill()


def kill_head(head: RayHead) -> None:
    """All that Ray is on this machine, and starts it again."""
    if head.pid is not None:
        os.killpg(head.pid, signal.SIGKILL)
    head.start()


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_a_hundred_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kills, seed = int(os.environ.get("LUTRA_TEST_KILLS", "100")), int(os.environ.get("LUTRA_TEST_SEED", "1"))
    head, rng = RayHead(2, 448 * MB), random.Random(seed)
    head.start()
    try:
        cluster = NodeCluster(tmp_path, environment=head.for_nodes, arguments=("--builders", "ray"))
        with cluster:
            victims = {node.name: node_killer(node) for node in cluster.nodes}
            victims |= {"builder": lambda: kill_builder(head, rng), "head": lambda: kill_head(head)}
            rounds = KillRounds(cluster, victims, seed)
            for _ in range(kills):
                done = rounds.run(RESUMES_WITHIN_S)
                with capsys.disabled():
                    print(done, flush=True)
            rounds.check_searched()
            assert "Traceback" not in cluster.log_text()
    finally:
        head.stop()
    of_nodes = [one.resumed_s for one in rounds.rounds if one.killed.startswith("node")]
    with capsys.disabled():
        print(
            f"{kills} kills, {len(of_nodes)} of nodes: writes resume after {median(of_nodes):.1f} s at the median, "
            f"{max(of_nodes):.1f} s at most; {sum(one.operations for one in rounds.rounds):,} operations explained, "
            f"{sum(one.searches for one in rounds.rounds):,} searches right"
        )
    assert check_cluster(cluster.store_address, open_store(cluster.store_address)) == []
