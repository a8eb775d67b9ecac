"""A partition becomes two, with all that it has and nothing copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.one_node import Model, OneNode, bound, serving

from lutra.cluster import map_changes
from lutra.cluster.errors import Moved
from lutra.cluster.host import place_of
from lutra.cluster.map import PartitionState
from lutra.index.builds.policy import Policy
from lutra.model.errors import OperationConflict, ParameterInvalid


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    with OneNode(tmp_path / "cluster") as made:
        yield made


def filled(node: OneNode, shops: int = 8, orders: int = 20) -> Model:
    """Half of the rows are in segments, and the rest in buffers."""
    rows = {(shop, f"o{order}"): 100 * shop + order for shop in range(shops) for order in range(orders)}
    node.put_all({key: n for key, n in rows.items() if n % 2})
    node.flush()
    node.put_all({key: n for key, n in rows.items() if not n % 2})
    return rows


def test_children_have_all_there_was_and_go_on(node: OneNode) -> None:
    model = filled(node)
    (parent,) = node.host.owned()
    split = node.split()
    assert split.at == bound(4)
    entries = node.map.partitions_of(node.table.uid)
    assert [entry.id for entry in entries] == list(split.children)
    assert [(entry.begin, entry.end) for entry in entries] == [(b"", bound(4)), (bound(4), None)]
    retired = node.map.partition(parent.id)
    assert retired is not None
    assert retired.state is PartitionState.RETIRED
    with pytest.raises(Moved):
        node.host.get(parent.id)
    node.check(model)
    for shop in range(8):
        node.put((shop, "new"), shop)
        node.delete((shop, "o3"))
        model[shop, "new"] = shop
        del model[shop, "o3"]
    node.check(model)


def test_nothing_is_copied(tmp_path: Path) -> None:
    node = OneNode(tmp_path / "cluster", policy=Policy(flush_age_s=3_600, dead_share=2.0))
    filled(node)
    (parent,) = node.host.owned()
    segments = {name for name in node.store.list(place_of(parent.id)) if "/segments/" in name}
    before = node.store.requests
    split = node.split()
    spent = node.store.requests - before
    assert spent.written_bytes < 20_000
    for child in split.children:
        assert node.splitter.loans.of(parent.id, child) == segments
        assert [name for name in node.store.list(place_of(child)) if "/segments/" in name] == []
    node.close()


def test_split_again_and_again(tmp_path: Path) -> None:
    with OneNode(tmp_path / "cluster") as node:
        model = filled(node)
        node.split()
        lower, upper = node.host.owned()
        for owned in (lower, upper):
            node.split(owned.id)
            node.put((1, f"after {owned.id}"), 7)
            model[1, f"after {owned.id}"] = 7
        assert len(node.host.owned()) == 4
        node.check(model)
    with OneNode(tmp_path / "cluster") as again:
        again.check(model)


def test_where_it_is_said(node: OneNode) -> None:
    model = filled(node)
    assert node.split(at=6).at == bound(6)
    counts = [owned.instance.tables.count("orders") for owned in node.host.owned()]
    assert sorted(counts) == [40, 120]
    node.check(model)


def test_what_cannot_be_split_is_left_as_it_was(node: OneNode) -> None:
    with pytest.raises(ParameterInvalid, match="none"):
        node.split()
    model = {(5, f"o{n}"): n for n in range(30)}
    node.put_all(model)
    with pytest.raises(ParameterInvalid, match="those of one only"):
        node.split()
    with pytest.raises(ParameterInvalid, match="cannot be cut"):
        node.splitter.split(node.host.owned()[0].id, b"within")
    with pytest.raises(Moved):
        node.splitter.split("nowhere")
    assert [entry.state.name for entry in node.map.partitions] == ["SERVING"]
    node.check(model)


def test_a_split_that_was_cancelled_meanwhile_leaves_the_parent(node: OneNode, monkeypatch: pytest.MonkeyPatch) -> None:
    model = filled(node)
    (parent,) = node.host.owned()
    claim = node.leases.claim

    def cancelled(partition_id: str) -> int:
        node.maps.change(lambda of: map_changes.cancel_split(of, parent.id))
        return claim(partition_id)

    monkeypatch.setattr(node.leases, "claim", cancelled)
    with pytest.raises(OperationConflict):
        node.split()
    assert serving(node.map) == [parent.id]
    assert node.leases.claimed == set()
    node.check(model)
    monkeypatch.undo()
    node.split()
    node.check(model)
