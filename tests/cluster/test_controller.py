"""Nodes agree on who has what, whoever comes, goes, stalls or is cut off."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cluster_maps import key, map_of, split
from support.cluster_nodes import Cluster, cluster_of

from lutra.cluster import map_changes
from lutra.cluster.controller import Owner
from lutra.cluster.errors import Moved
from lutra.cluster.holdings import HoldingState
from lutra.cluster.lease_records import PartitionRecord
from lutra.cluster.map import ClusterMap
from lutra.cluster.partition_leases import UNOWNED, PartitionLeases
from lutra.model.errors import Corruption, ForeignObjects, ParameterInvalid, StorageFailure


@given(rng=st.randoms(use_true_random=False), faults=st.sampled_from([0.0, 0.05]), stalls=st.sampled_from([0.0, 0.03]))
@settings(max_examples=40, deadline=None)
def test_whatever_happens_nobody_has_what_another_has_and_in_the_end_all_is_placed(
    rng: random.Random, faults: float, stalls: float
) -> None:
    run_history(Cluster(rng, faults=faults, stalls=stalls), events=rng.randrange(80))


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_long_histories(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        rng = random.Random(seed)
        cluster = Cluster(rng, faults=rng.choice((0.0, 0.05, 0.1)), stalls=rng.choice((0.0, 0.03, 0.06)))
        run_history(cluster, events=rng.randrange(250))


def run_history(cluster: Cluster, events: int) -> None:
    """Nodes come, go, stall, and partitions are split, while it is checked that nobody has what another has.

    Then all that are left have what they should after some rounds, and from then on nothing moves.
    """
    rng = cluster.rng
    cluster.maps.change(lambda of: map_of(rng.randrange(1, 8)))
    names = ["a", "b", "c", "d"]
    for _ in range(events):
        cluster.now_s += rng.choice((0.0, 0.1, 0.5, 1.0, 2.0))
        kind = rng.randrange(20)
        if kind == 0:
            cluster.start(rng.choice(names), beside=rng.random() < 0.3)
        elif kind == 1:
            cluster.kill(rng.choice(names))
        elif kind == 2:
            cluster.now_s += rng.choice((3.0, 6.0, 20.0))
        elif kind == 3:
            cluster.maps.change(partial(with_split, number=rng.randrange(-300, 300)))
        else:
            cluster.run_any()
    cluster.faults = cluster.stalls = 0.0
    cluster.end_doubles()
    cluster.start(rng.choice(names))
    cluster.rounds_until_placed(80)
    before = cluster.events()
    cluster.run_all(20)
    assert cluster.events() == before


def with_split(of: ClusterMap, number: int) -> ClusterMap:
    entry = of.partition_of(1, key(number))
    ids = [f"s{of.version}-0", f"s{of.version}-1"]
    return of if entry.begin == key(number) else split(of, entry.id, [key(number)], ids)


# --- who comes and goes -----------------------------------------------------------------------------------------------


def test_a_node_that_dies_is_replaced_within_seconds() -> None:
    cluster = cluster_of("abc", 12)
    cluster.kill("b")
    assert cluster.rounds_until_served(12) <= 8  # time to live and margin, slow clocks, and a round or two
    cluster.rounds_until_placed(12)
    assert Counter(cluster.owners().values()) == {"a": 6, "c": 6}


def test_a_node_that_comes_gets_its_share_a_few_at_a_time() -> None:
    cluster = cluster_of("ab", 30)
    before = cluster.owners()
    cluster.start("c")
    moved = 0
    for _ in range(60):
        cluster.run_all(1)
        now = sum(node != before.get(each) for each, node in cluster.owners().items())
        assert now <= moved + 2 * cluster.settings.moves_per_step
        moved = now
    assert cluster.owners() == cluster.placed()
    assert {node for each, node in cluster.owners().items() if before[each] != node} == {"c"}


def test_a_node_that_comes_gets_nothing_before_it_has_been_there_for_a_while() -> None:
    cluster = cluster_of("ab", 30)
    cluster.start("c")
    cluster.run_all(int(cluster.settings.settle_s) - 1)
    assert not cluster.node("c").opener.events


def test_a_node_that_leaves_hands_over_all_and_closes_first() -> None:
    cluster = cluster_of("abc", 12)
    leaving = cluster.node("b")
    had = set(leaving.owns())
    leaving.opener.events.clear()
    leaving.controller.leave()
    rounds = 0
    while not leaving.controller.has_left:
        cluster.run_all(1)
        rounds += 1
        assert rounds < 5
    assert set(leaving.opener.events) == {("close", each) for each in had}
    cluster.kill("b")
    assert cluster.rounds_until_served(2) <= 1


def test_a_restarted_node_gets_back_what_it_had() -> None:
    cluster = cluster_of("ab", 8)
    before = cluster.owners()
    cluster.node("b").controller.leave()
    cluster.run_all(4)
    cluster.start("b")
    cluster.rounds_until_placed(30)
    assert cluster.owners() == before


def test_the_last_node_leaves_what_the_next_finds() -> None:
    cluster = cluster_of("a", 3)
    cluster.node("a").controller.leave()
    cluster.run_all(3)
    assert cluster.node("a").controller.has_left
    cluster.kill("a")
    cluster.start("b")
    assert cluster.rounds_until_placed(4) <= 2


def test_who_leaves_before_it_has_joined_has_left() -> None:
    cluster = cluster_of("a", 3)
    late = cluster.start("b")
    late.controller.leave()
    late.controller.beat()
    late.controller.step()
    assert late.controller.has_left
    assert not [name for name in cluster.objects if name.startswith("nodes/b/")]


# --- who is cut off ---------------------------------------------------------------------------------------------------


def test_a_node_that_is_cut_off_answers_nothing_and_comes_back_with_nothing() -> None:
    cluster = cluster_of("abc", 12)
    node = cluster.node("b")
    epochs = node.owns()
    cluster.cut_off = {"b"}
    cluster.run_all(5)
    assert node.opener.epochs
    assert not node.owns()
    cluster.run_all(6)
    assert set(cluster.owners().values()) == {"a", "c"}
    cluster.cut_off = set()
    cluster.run_all(2)
    assert node.controller.is_sure()
    assert not node.opener.epochs
    cluster.rounds_until_placed(40)
    assert all(node.owns()[each] >= epoch + 3 for each, epoch in epochs.items())  # taken, released, taken again


def test_where_the_store_was_away_from_all_everybody_goes_on_with_what_it_had() -> None:
    cluster = cluster_of("abc", 12)
    before = {node.run: node.owns() for node in cluster.nodes.values()}
    events = cluster.events()
    cluster.cut_off = {"a", "b", "c"}
    cluster.run_all(60)
    assert not cluster.owners()
    cluster.cut_off = set()
    cluster.run_all(20)
    assert {node.run: node.owns() for node in cluster.nodes.values()} == before
    assert cluster.events() == events


def test_one_that_opens_too_late_does_no_lasting_harm() -> None:
    """It fences the owner, who notices, and opens again what is its own."""
    cluster = cluster_of("ab", 4)
    owner = next(iter(cluster.nodes.values()))
    (partition_id, epoch), *_ = sorted(owner.owns().items())
    cluster.fence(partition_id)
    assert partition_id not in cluster.owners()
    cluster.run_all(1)
    assert cluster.owners()[partition_id] == owner.name
    assert owner.owns()[partition_id] == epoch


# --- what cannot be opened --------------------------------------------------------------------------------------------


def test_a_damaged_partition_stops_no_other_and_is_tried_less_and_less_often() -> None:
    cluster = Cluster(random.Random(0))
    cluster.maps.change(lambda of: map_of(4))
    node = cluster.start("a")
    node.opener.fails = {"p1-2": Corruption("p1-2: damaged")}
    cluster.run_all(60)
    assert set(cluster.owners()) == {"p1-0", "p1-1", "p1-3"}
    (failed,) = [each for each in node.controller.holdings.all() if each.state is HoldingState.FAILED]
    assert (failed.partition_id, failed.error) == ("p1-2", "Corruption: p1-2: damaged")
    assert failed.is_unopened
    assert node.opener.events.count(("open", "p1-2")) == failed.tries == 6  # after 1, 2, 4, 8, 16 seconds
    node.opener.fails = {}
    cluster.run_all(60)
    assert cluster.owners()["p1-2"] == "a"
    assert node.controller.holdings.get("p1-2") == replace(
        failed, state=HoldingState.OPEN, tries=0, error="", reason="", next_s=failed.next_s
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Corruption("/secret/manifest: cut short"), "what is stored of it is damaged"),
        (StorageFailure("/secret: No space left on device"), "its storage cannot be used (No space left on device)"),
        (ForeignObjects("the objects at /secret are others'"), "its storage cannot be used"),
        (RuntimeError("/secret"), "the node failed within"),
    ],
)
def test_who_asks_for_what_cannot_be_opened_is_told_why_after_some_tries(error: Exception, reason: str) -> None:
    cluster = Cluster(random.Random(0))
    cluster.maps.change(lambda of: map_of(2))
    node = cluster.start("a")
    node.opener.fails["p1-1"] = error
    told: list[tuple[int, str]] = []
    for _ in range(20):
        cluster.run_all(1)
        held, refusal = node.controller.holdings.get("p1-1"), node.controller.refusal_of("p1-1")
        if held is not None:
            told.append((held.tries, "" if refusal is None else str(refusal)))
    assert {tries for tries, text in told if not text} == {1, 2}, "it may soon be open: requests wait"
    assert {tries for tries, text in told if text} == {3, 4, 5}
    assert told[-1][1] == (
        f"Partition p1-1 could not be opened 5 times, and is tried again: {reason}. `lutra cluster status` says more."
    )
    assert node.controller.refusal_of("p1-0") is None
    cluster.now_s += 100
    assert node.controller.refusal_of("p1-1") is None, "it may be another's by now"


def test_what_is_said_to_be_elsewhere_is_looked_for_there() -> None:
    cluster = Cluster(random.Random(0))
    cluster.maps.change(lambda of: map_of(1))
    node = cluster.start("a")
    node.opener.fails["p1-0"] = Moved("split before")
    cluster.run_all(20)
    held = node.controller.holdings.get("p1-0")
    assert held is not None
    assert held.tries >= 3
    assert not held.is_unopened
    assert node.controller.refusal_of("p1-0") is None


def test_a_damaged_partition_goes_where_it_should_all_the_same() -> None:
    cluster = Cluster(random.Random(0))
    cluster.maps.change(lambda of: map_of(4))
    node = cluster.start("a")
    node.opener.fails = {f"p1-{number}": Corruption("damaged") for number in range(4)}
    cluster.run_all(3)
    cluster.start("b")
    cluster.run_all(30)
    gone = {each for each, name in cluster.placed().items() if name == "b"}
    assert gone
    assert set(cluster.node("b").owns()) == gone


def test_a_damaged_lease_stops_no_other() -> None:
    cluster = cluster_of("ab", 4)
    gone = next(each for each, name in cluster.owners().items() if name == "b")
    name = max(name for name in cluster.objects if name.startswith(f"leases/{gone}/"))
    cluster.objects[name] = cluster.objects[name][:-1]
    nodes = sorted(name for name in cluster.objects if name.startswith("nodes/b/0"))
    cluster.kill("b")
    cluster.run_all(30)
    assert cluster.owners().keys() == {f"p1-{number}" for number in range(4)} - {gone}
    cluster.objects["nodes/c/00000000000000000001"] = cluster.objects[nodes[0]][:-1]
    cluster.start("b")
    cluster.run_all(30)
    assert "b" in cluster.owners().values()


# --- what it costs ----------------------------------------------------------------------------------------------------


def spent(cluster: Cluster, name: str, seconds: int) -> tuple[int, int, int, int]:
    """Puts, lists, gets and deletes of a node in that time."""
    before = cluster.stores[name].requests
    cluster.run_all(seconds)
    after = cluster.stores[name].requests - before
    return after.puts, after.lists, after.gets, after.deletes


def test_where_nothing_happens_a_node_makes_four_requests_a_second_however_many_partitions_there_are() -> None:
    for partitions in (1, 300):
        cluster = cluster_of("abc", partitions)
        cluster.run_all(5)
        assert spent(cluster, "a", 10) == (10, 20, 0, 10)


def test_taking_over_a_dead_nodes_partitions_costs_a_few_requests_each() -> None:
    cluster = cluster_of("abc", 300)
    theirs = len(cluster.node("b").owns())
    cluster.kill("b")
    stores = [cluster.stores[name] for name in "ac"]
    before = [store.requests for store in stores]
    rounds = cluster.rounds_until_served(60)
    requests = [store.requests - counted for store, counted in zip(stores, before, strict=True)]
    assert sum(each.gets for each in requests) <= theirs + 3
    assert sum(each.puts for each in requests) <= theirs + 2 * rounds + 4
    assert sum(each.lists for each in requests) <= theirs + 3 * 2 * rounds + 2


# --- what others ask --------------------------------------------------------------------------------------------------


def test_owners_as_they_are_known_and_as_they_are_read() -> None:
    cluster = cluster_of("abc", 6)
    placed = cluster.placed()
    controller = cluster.node("a").controller
    for partition_id, name in placed.items():
        expected = Owner(name, f"{name}:80", 1 if name == "a" else 0)
        assert controller.owner_of(partition_id) in (expected, replace(expected, epoch=expected.epoch + 1))
        read = controller.read_owner(partition_id)
        assert read is not None
        assert (read.node, read.epoch) == (name, cluster.node(name).owns()[partition_id])
        assert controller.owner_of(partition_id) == read
    assert controller.owner_of("unheard") is None
    cluster.kill("b")
    cluster.run_all(7)
    theirs = next(each for each, name in placed.items() if name == "b")
    read = controller.read_owner(theirs)
    assert read is not None
    assert read.node == cluster.placed()[theirs]


def test_the_owner_of_what_is_handed_over_is_the_successor() -> None:
    cluster = cluster_of("ab", 2)
    partition_id = next(each for each, name in cluster.owners().items() if name == "b")
    leases = PartitionLeases(cluster.store("x.0"), cluster.token_bytes)
    leases.put_next(partition_id, leases.epoch(partition_id), PartitionRecord("b", 1, is_released=True, successor="a"))
    assert cluster.node("b").controller.read_owner(partition_id) == Owner("a", "a:80", 0)


def test_a_nudged_node_looks_at_what_it_would_not_look_at() -> None:
    cluster = cluster_of("ab", 2)
    partition_id = next(each for each, name in cluster.owners().items() if name == "b")
    leaving = cluster.node("b")
    leaving.controller.leave()
    cluster.run(leaving, leaving.controller.step)
    cluster.run(cluster.node("a"), cluster.node("a").controller.step)
    assert cluster.owners()[partition_id] == "a"


def test_a_pinned_partition_stays() -> None:
    cluster = cluster_of("a", 12)
    node = cluster.node("a")
    with node.controller.pinned("p1-0"), node.controller.pinned("p1-1"):
        node.controller.leave()
        cluster.run_all(4)
        assert set(node.owns()) == {"p1-0", "p1-1"}
        assert not node.controller.has_left
        assert not node.controller.board.alive()  # who does not give it anything any more
    cluster.run_all(3)
    assert node.controller.has_left
    with pytest.raises(Moved), node.controller.pinned("p1-0"):
        pass


def test_claimed_partitions_stay_until_the_map_has_them() -> None:
    cluster = cluster_of("a", 1)
    node = cluster.node("a")
    for partition_id in ("left", "right", "failed"):
        assert node.controller.claim(partition_id) == 1
        node.opener.epochs[partition_id] = 1
        cluster._fences[partition_id] = node.opener
    with pytest.raises(Moved):
        node.controller.claim("left")
    cluster.run_all(3)
    node.opener.close("failed")
    node.controller.give_up("failed")
    assert set(node.owns()) == {"p1-0", "left", "right"}
    of = node.controller._maps.change(lambda of: split(of, "p1-0", [key(0)], ["left", "right"]))
    assert of.version == 2
    node.controller.adopt("left")
    node.controller.adopt("right")
    cluster.run_all(10)
    assert cluster.owners() == cluster.placed() == {"left": "a", "right": "a"}
    assert [each for each in node.opener.events if each[0] == "open"] == [("open", "p1-0")]
    assert PartitionLeases(cluster.store("x.0"), cluster.token_bytes).newest("failed") == UNOWNED


def test_an_older_map_says_nothing_of_what_was_adopted_since(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of("a", 1)
    node = cluster.node("a")
    maps = node.controller._maps
    older = maps.known
    node.controller.claim("left")
    node.controller.claim("right")
    maps.change(lambda of: split(of, "p1-0", [key(0)], ["left", "right"]))
    node.controller.adopt("left")
    node.controller.adopt("right")
    with monkeypatch.context() as patched:
        patched.setattr(maps, "newest", lambda: older)  # read before, by another thread
        cluster.run(node, node.controller.step)
    assert {"left", "right"} <= {each.partition_id for each in node.controller.holdings.all()}


def test_who_is_taken_for_dead_while_it_claims_has_claimed_nothing() -> None:
    cluster = cluster_of("ab", 2)
    node = cluster.node("a")
    first_run = node.controller.sureness()

    def stall(node_name: str, kind: str, name: str) -> None:
        if name.startswith("leases/new") and kind == "list":
            cluster.at_request = None
            cluster.cut_off = {"a"}
            cluster.run_all(8)
            cluster.cut_off = set()
            cluster.run_all(4)
            assert node.controller.is_sure()  # as another run

    cluster.at_request = stall
    with pytest.raises(Moved, match="was taken for dead"):
        node.controller.claim("new")
    assert "new" not in node.controller.holdings
    assert not first_run()
    node.controller.adopt("p1-0")  # what was claimed by an earlier run changes nothing of this one's
    cluster.rounds_until_placed(40)


def test_who_is_not_sure_claims_nothing() -> None:
    cluster = cluster_of("a", 1)
    cluster.now_s += 10
    with pytest.raises(Moved, match="not sure of itself"):
        cluster.node("a").controller.claim("new")


def test_partitions_of_a_dropped_table_are_closed_and_their_leases_go_with_them() -> None:
    cluster = cluster_of("ab", 4)
    cluster.maps.change(lambda of: map_changes.drop_table(of, "main", "orders1"))
    cluster.run_all(2)
    assert not cluster.owners()
    assert all(not node.controller.holdings.all() for node in cluster.nodes.values())
    assert all(not node.opener.epochs for node in cluster.nodes.values())
    assert not [name for name in cluster.objects if name.startswith("leases/")]


def test_a_retired_partition_is_nobodys() -> None:
    cluster = cluster_of("ab", 1)
    cluster.maps.change(partial(with_split, number=5))
    cluster.rounds_until_placed(30)
    lease = PartitionLeases(cluster.store("x.0"), cluster.token_bytes).newest("p1-0")
    assert lease.record is not None
    assert lease.record.is_released
    for node in cluster.nodes.values():
        assert "p1-0" not in node.controller.holdings
        assert node.controller.read_owner("p1-0") is None


def test_partitions_that_are_no_more_in_the_map_are_closed() -> None:
    cluster = cluster_of("ab", 4)
    cluster.maps.change(lambda of: map_of(2, tables=2))
    cluster.rounds_until_placed(30)
    assert set(cluster.owners()) == {"p1-0", "p1-1", "p2-0", "p2-1"}
    assert not [name for name in cluster.objects if name.startswith("leases/p1-3")]


def test_larger_nodes_get_more() -> None:
    cluster = Cluster(random.Random(0))
    cluster.maps.change(lambda of: map_of(40))
    cluster.start("small")
    cluster.start("large", capacity=3)
    cluster.rounds_until_placed(80)
    count = Counter(cluster.owners().values())
    assert 7 <= count["small"] <= 11
    for capacity in (0, 17):
        with pytest.raises(ParameterInvalid):
            cluster.start("bad", capacity=capacity)
