"""Nodes whose requests to a lease were not answered, or late, do not take what another may have."""

from __future__ import annotations

import random

import pytest
from support.cluster_maps import map_of
from support.cluster_nodes import Cluster, cluster_of
from support.memory_store import LostAnswer, LostRequest

from lutra.cluster.holdings import HoldingState
from lutra.cluster.lease_records import PartitionRecord
from lutra.cluster.partition_leases import PartitionLeases


def lose_takes(cluster: Cluster, of: str, partition_id: str) -> None:
    """All that a node asks of that partition's lease is done, and not answered, from the put on."""

    def lose(node: str, kind: str, name: str) -> None:
        is_lost = node == of and name.startswith(f"leases/{partition_id}") and kind != "list"
        if is_lost:
            raise LostAnswer

    cluster.at_request = lose


def test_a_take_without_an_answer_is_found_out_later() -> None:
    cluster = Cluster(random.Random(0))
    cluster.maps.change(lambda of: map_of(2))
    node = cluster.start("a")
    lose_takes(cluster, "a", "p1-1")
    cluster.run_all(3)
    assert set(node.owns()) == {"p1-0"}
    cluster.at_request = None
    cluster.run_all(2)
    assert node.owns() == {"p1-0": 1, "p1-1": 1}


def test_a_take_that_is_done_when_it_is_tried_again_is_not_taken_for_anothers() -> None:
    cluster = Cluster(random.Random(0))
    cluster.maps.change(lambda of: map_of(1))
    node = cluster.start("a")
    leases = PartitionLeases(cluster.store("x.0"), cluster.token_bytes)
    puts: list[str] = []

    def late(node_name: str, kind: str, name: str) -> None:
        if node_name == "a" and name.startswith("leases/p1-0") and kind == "put_if_absent":
            puts.append(name)
            if len(puts) <= 3:
                raise LostRequest
            if len(puts) == 4:
                leases.put_next("p1-0", 0, PartitionRecord("a", 1))

    cluster.at_request = late
    cluster.run_all(6)
    assert len(puts) == 4
    assert node.owns() == {"p1-0": 1}


@pytest.mark.parametrize("error", [LostAnswer, LostRequest])
def test_a_take_without_an_answer_of_what_it_should_not_have_is_undone(error: type[Exception]) -> None:
    """Nobody else looks whether a live node opens what its lease says, or may say yet: it sees to that itself."""
    cluster = cluster_of("ab", 6)
    node = cluster.node("a")
    theirs, epoch = next(iter(sorted(cluster.node("b").owns().items())))
    cluster.node("b").controller.holdings.remove(theirs)
    cluster.node("b").opener.close(theirs)
    leases = PartitionLeases(cluster.store("x.0"), cluster.token_bytes)
    leases.put_next(theirs, epoch, PartitionRecord("b", 1, is_released=True, successor="a"))
    has_put: list[str] = []

    def lose(node_name: str, kind: str, name: str) -> None:
        if node_name == "a" and name.startswith(f"leases/{theirs}") and (has_put or kind == "put_if_absent"):
            has_put.append(kind)
            raise error

    cluster.at_request = lose
    node.controller.look([theirs])
    cluster.run(node, node.controller.step)
    assert has_put
    assert leases.epoch(theirs) == epoch + (2 if error is LostAnswer else 1)
    cluster.at_request = None
    cluster.run(node, node.controller.step)
    assert leases.epoch(theirs) == epoch + 2
    cluster.rounds_until_placed(12)
    assert cluster.owners()[theirs] == "b"


def test_who_stalls_between_taking_and_opening_does_not_open() -> None:
    """It would fence who has taken it over since."""
    cluster = cluster_of("ab", 6)
    node = cluster.node("a")
    cluster.kill("b")
    puts: list[str] = []
    stalled: list[str] = []

    def stall(node_name: str, kind: str, name: str) -> None:
        is_after = kind == "list" and any(put.startswith(f"{name}/") for put in puts)
        if node_name == "a" and name.startswith("leases/p1-") and is_after and not stalled:
            stalled.append(name.removeprefix("leases/"))
            cluster.now_s += 20
        if kind == "put_if_absent":
            puts.append(name)

    cluster.at_request = stall
    node.opener.events.clear()
    while not stalled:
        cluster.run_all(1)
    assert ("open", stalled[0]) not in node.opener.events
    cluster.rounds_until_placed(20)


def test_a_release_without_an_answer_is_done_again_and_nothing_is_answered_meanwhile() -> None:
    cluster = cluster_of("ab", 6)
    leaving = cluster.node("a")
    leaving.controller.leave()
    lose_takes(cluster, "a", "p1-")
    cluster.run_all(2)
    assert not leaving.owns()
    assert {each.state for each in leaving.controller.holdings.all()} == {HoldingState.CLOSED}
    cluster.at_request = None
    cluster.run_all(3)
    assert leaving.controller.has_left
    cluster.kill("a")
    assert cluster.rounds_until_placed(3) <= 2


def test_a_partition_whose_named_successor_does_not_come_is_taken_after_a_while() -> None:
    cluster = cluster_of("abc", 6)
    partition_id, owner = next(iter(sorted(cluster.owners().items())))
    node = cluster.node(owner)
    other = next(name for name in "abc" if name != owner)
    epoch = node.owns()[partition_id]
    node.controller.holdings.remove(partition_id)
    node.opener.close(partition_id)
    PartitionLeases(cluster.store("x.0"), cluster.token_bytes).put_next(
        partition_id, epoch, PartitionRecord(owner, 1, is_released=True, successor=other)
    )
    cluster.run_all(int(cluster.settings.patience_s) - 2)
    assert partition_id not in cluster.owners()
    cluster.run_all(5)
    assert cluster.owners()[partition_id] == owner
