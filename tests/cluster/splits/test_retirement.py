"""What split partitions leave is kept as long as somebody needs it, and not longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.one_node import Model, OneNode

from lutra.cluster import map_changes
from lutra.cluster.host import place_of
from lutra.cluster.map import PartitionState
from lutra.cluster.splits.loans import Loans, by_lender
from lutra.cluster.splits.splitting import settle
from lutra.index.builds.policy import Policy
from lutra.model.errors import Corruption

LAZY = Policy(flush_age_s=3_600, dead_share=2.0, fan_in=100)
"""Merges nothing."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    with OneNode(tmp_path / "cluster", policy=LAZY) as made:
        yield made


def filled(node: OneNode) -> Model:
    model = {(shop, f"o{order}"): 100 * shop + order for shop in range(8) for order in range(10)}
    for part in (0, 1):
        node.put_all({key: n for key, n in model.items() if n % 2 == part})
        node.flush()
    return model


def objects_of(node: OneNode, partition_id: str) -> set[str]:
    return {name for name in node.store.list(place_of(partition_id)) if "/segments/" in name or "/deletions/" in name}


def states(node: OneNode) -> dict[str, str]:
    return {entry.id: entry.state.name for entry in node.map.partitions}


def test_what_is_borrowed_stays_and_goes_when_it_is_given_back(node: OneNode) -> None:
    model = filled(node)
    (parent,) = (owned.id for owned in node.host.owned())
    lent = objects_of(node, parent)
    node.store.put(place_of(parent) + "indexes/1-x-1/segments/0123", b"of a merge that was broken off")
    split = node.split()
    sweep = node.retirement()
    sweep.step()
    assert objects_of(node, parent) == lent
    assert states(node)[parent] == "RETIRED"
    node.check(model)
    for n, child in enumerate(split.children):
        for feed in node.host.get(child).instance.index_feeds():
            feed.index._merges.policy = Policy()
            feed.index.compact()
            for again in range(3):
                node.put((4 * n, f"more{again}"), again)
                model[4 * n, f"more{again}"] = again
                node.flush()
        sweep.step()
        assert Loans(node.store).of(parent, child) == set()
    assert Loans(node.store).all() == {}
    sweep.step()
    assert objects_of(node, parent) == set()
    assert states(node)[parent] == "RETIRED", "the children's rows are there yet"
    node.check(model)


def test_heirs_of_heirs_borrow_of_all(node: OneNode) -> None:
    model = filled(node)
    (first,) = (owned.id for owned in node.host.owned())
    second, third = node.split().children
    lent = objects_of(node, first)
    node.put((1, "new"), 1)
    model[1, "new"] = 1
    node.flush()
    fourth, fifth = node.split(second).children
    sweep = node.retirement()
    for _ in range(2):
        sweep.step()
    assert Loans(node.store).all() == {first: {third, fourth, fifth}, second: {fourth}}
    assert states(node) == {
        first: "RETIRED",
        second: "RETIRED",
        third: "SERVING",
        fourth: "SERVING",
        fifth: "SERVING",
    }
    assert objects_of(node, first) == lent
    node.check(model)


def test_of_a_dropped_table_nothing_is_left(node: OneNode) -> None:
    filled(node)
    lower, _ = node.split().children
    node.split(lower)
    node.maps.change(lambda of: map_changes.drop_table(of, "main", "orders"))
    node.host.close_all()
    sweep = node.retirement()
    for _ in range(5):
        sweep.step()
    assert node.map.partitions == ()
    assert [name for name in node.store.list("") if not name.startswith(("map/", "scratch/"))] == []


def test_what_a_cancelled_split_left_is_deleted(node: OneNode, monkeypatch: pytest.MonkeyPatch) -> None:
    model = filled(node)
    (parent,) = (owned.id for owned in node.host.owned())

    def broken(*given: object) -> None:
        raise Corruption("as it goes")

    monkeypatch.setattr(node.splitter, "_complete", broken)
    monkeypatch.setattr(node.splitter, "_cancel", lambda partition_id: None)  # as if it had been killed
    with pytest.raises(Corruption):
        node.split()
    planned = [entry.id for entry in node.map.planned_of(parent)]
    assert len(planned) == 2
    assert Loans(node.store).all() == {parent: set(planned)}
    node.retirement().step()
    settle(node.maps, parent)
    assert {states(node)[child] for child in planned} == {"DROPPED"}
    sweep = node.retirement()
    sweep.step()
    assert [entry.id for entry in node.map.partitions] == [parent]
    assert Loans(node.store).all() == {}
    left = node.store.list("partitions") + node.store.list("rows")
    assert not [name for name in left for child in planned if child in name]
    monkeypatch.undo()
    node.check(model)
    node.split()
    node.check(model)


def test_a_grace_is_left_to_those_who_read_yet(node: OneNode) -> None:
    filled(node)
    (parent,) = (owned.id for owned in node.host.owned())
    leftover = place_of(parent) + "indexes/1-x-1/segments/0123"
    node.store.put(leftover, b"")
    node.split()
    now_s = 0.0
    sweep = node.retirement(grace_s=60, monotonic=lambda: now_s)
    sweep.step()
    now_s = 59.0
    sweep.step()
    assert leftover in node.store.list(place_of(parent))
    now_s = 61.0
    sweep.step()
    assert leftover not in node.store.list(place_of(parent))


def test_who_is_no_sweeper_deletes_nothing(node: OneNode) -> None:
    filled(node)
    (parent,) = (owned.id for owned in node.host.owned())
    node.split()
    before = node.store.list("partitions/" + parent)
    node.maps.change(lambda of: map_changes.drop_table(of, "main", "orders"))
    node.retirement(is_sweeper=lambda: False).step()
    assert node.store.list("partitions/" + parent) == before
    assert {entry.state for entry in node.map.partitions} == {PartitionState.DROPPED}


def test_names_that_are_no_partitions() -> None:
    assert by_lender(["partitions/ab/indexes/1-x-1/segments/0"]) == {"ab": {"partitions/ab/indexes/1-x-1/segments/0"}}
    with pytest.raises(Corruption):
        by_lender(["rows/ab/x"])
