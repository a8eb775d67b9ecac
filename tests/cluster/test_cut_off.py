"""An owner that is cut off, and not dead: from the store, from the other nodes, or from time itself.

Its successor takes over meanwhile. What it had sent reaches the store late. Nothing that was acknowledged is lost,
nothing is applied twice, and nothing old is read: the history of each row has to be explained.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tablestore as ots
from support.node_cluster import NodeCluster, NodeRun
from support.row_load import RowLoad, state_of
from support.s3_server import S3Server
from support.sdk import create_split, get, put, values
from support.stalling_proxy import StallingProxy
from support.waiting import wait_until

from lutra.cluster.fsck import check_cluster
from lutra.objects.opening import open_store

TABLE = "t"
KEYS = [f"k{number:02}" for number in range(20)]
PROBE = "k00-probe"
"""A row that nobody else writes, in the partition of the first of them."""
TAKEN_OVER_WITHIN_S = 60


@dataclass
class CutOff:
    """A cluster of which each node reaches the store, and is reached by the others, through proxies of its own."""

    cluster: NodeCluster
    store: list[StallingProxy]
    peers: list[StallingProxy]

    def owner_of(self, key: str) -> NodeRun:
        known = self.cluster.map
        table = known.table("test", TABLE)
        partition = known.partition_of(table.uid, key.encode()).id
        (row,) = [row for row in self.cluster.status().partitions if row.entry.id == partition]
        assert row.owner is not None
        return self.cluster.node(row.owner)

    def others_than(self, node: NodeRun) -> list[int]:
        return [at for at, other in enumerate(self.cluster.nodes) if other is not node]

    def load(self, seed: int, begin: dict[str, int]) -> RowLoad:
        connects = [lambda at=at: self.cluster.client(at) for at in range(len(self.cluster.nodes))]
        return RowLoad(connects, TABLE, KEYS, seed, begin)

    def is_taken_over(self, node: NodeRun) -> bool:
        """Whether it owns nothing."""
        return all(row.owner != node.name for row in self.cluster.status().partitions)


@pytest.fixture
def cut_off(s3: S3Server, tmp_path: Path) -> Iterator[CutOff]:
    with contextlib.ExitStack() as proxies:
        cluster = NodeCluster(tmp_path, store=s3.url(f"cut-off/{tmp_path.name}"))
        made = CutOff(cluster, [], [])
        for node in cluster.nodes:
            store, peer = StallingProxy(s3.endpoint), StallingProxy(node.endpoint)
            for proxy in (store, peer):
                proxies.enter_context(proxy)
            node.environment |= {"AWS_ENDPOINT_URL": store.endpoint}
            node.arguments = (*node.arguments, "--address", peer.endpoint)
            made.store.append(store)
            made.peers.append(peer)
        with cluster:
            create_split(cluster.client(), TABLE, ("id", "STRING"), ["k05", "k10", "k15"])
            cluster.wait_serving()
            yield made
            for proxy in (*made.store, *made.peers):
                proxy.release()
        address = cluster.store_address
        assert check_cluster(address, open_store(address)) == []


def finished(made: CutOff, load: RowLoad) -> None:
    """Ends the load, that writes and reads again; what was seen of each row has an explanation."""
    load.wait_for_writes(60, 60)
    load.wait_for_reads(30, 60)
    load.stop()
    time.sleep(1.0)
    made.cluster.wait_serving()
    load.check(state_of(made.cluster.client(), TABLE))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_an_owner_is_cut_off_from_the_store(cut_off: CutOff, seed: int) -> None:
    """What it had sent reaches the store after its successor has begun."""
    owner = cut_off.owner_of(KEYS[0])
    at = cut_off.cluster.nodes.index(owner)
    load = cut_off.load(seed, {})
    load.start(writers=6, readers=3)
    load.wait_for_writes(60, 60)
    cut_off.store[at].stall("/")
    wait_until(lambda: cut_off.is_taken_over(owner), TAKEN_OVER_WITHIN_S)
    load.wait_for_writes(60, 60)
    assert cut_off.store[at].held > 0
    cut_off.store[at].release()
    finished(cut_off, load)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_owner_stands_still_and_goes_on(cut_off: CutOff) -> None:
    """Stopped in the midst of whatever it did, for longer than its lease; then it goes on as if nothing had been."""
    owner = cut_off.owner_of(KEYS[-1])
    load = cut_off.load(1, {})
    load.start(writers=6, readers=3)
    for _ in range(3):
        load.wait_for_writes(40, 60)
        owner.stall()
        wait_until(lambda: cut_off.is_taken_over(owner), TAKEN_OVER_WITHIN_S)
        load.wait_for_writes(40, 60)
        owner.go_on()
        load.wait_for_writes(40, 60)
    finished(cut_off, load)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_is_cut_off_from_the_others(cut_off: CutOff) -> None:
    """It reaches the store, and nobody reaches it: what it owns is answered by itself, and by others not. Nothing else
    is touched, and nothing is wrong."""
    owner = cut_off.owner_of(KEYS[0])
    at = cut_off.cluster.nodes.index(owner)
    load = cut_off.load(2, {})
    load.start(writers=6, readers=3)
    load.wait_for_writes(60, 60)
    own = cut_off.cluster.client(at)
    put(own, TABLE, [("id", PROBE)], number=7)
    elsewhere = next(key for key in KEYS if cut_off.owner_of(key) is not owner)
    cut_off.peers[at].stall("/_lutra/")
    time.sleep(8.0)  # for longer than a lease lasts
    assert values(get(own, TABLE, [("id", PROBE)], max_version=1)) == {"number": 7}
    for number in cut_off.others_than(owner):
        client = cut_off.cluster.client(number, socket_timeout=60)
        with pytest.raises(ots.OTSServiceError) as refused:
            get(client, TABLE, [("id", PROBE)], max_version=1)
        assert refused.value.get_error_code() in ("OTSServerBusy", "OTSTimeout")
        get(client, TABLE, [("id", elsewhere)], max_version=1)
    assert values(get(own, TABLE, [("id", PROBE)], max_version=1)) == {"number": 7}
    assert cut_off.owner_of(PROBE) is owner
    assert cut_off.peers[at].held > 0
    cut_off.peers[at].release()
    finished(cut_off, load)
