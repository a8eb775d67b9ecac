"""Everybody places alike, evenly, and moves little when nodes come and go."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.cluster.placement import place

NODES = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 4), max_size=8)
IDS = st.sets(st.text("0123456789", min_size=1, max_size=4), max_size=60)


@given(nodes=NODES, ids=IDS)
@settings(max_examples=60, deadline=None)
def test_all_are_placed_and_nobody_has_much_more_than_its_share(nodes: dict[str, int], ids: set[str]) -> None:
    placed = place(list(ids), nodes)
    assert placed.keys() == (ids if nodes else set())
    total = sum(nodes.values())
    for name, count in Counter(placed.values()).items():
        share = -(-len(ids) * nodes[name] // total)
        assert count <= share + share // 10
    assert place(sorted(ids, reverse=True), dict(reversed(nodes.items()))) == placed


def ids_of(count: int) -> list[str]:
    return [f"{number:016x}" for number in range(count)]


def test_the_places_are_the_same_for_ever() -> None:
    """Nodes of two versions that disagree would hand partitions to and fro."""
    placed = place(ids_of(12), {"a": 1, "b": 1, "c": 2})
    assert "".join(placed[each] for each in ids_of(12)) == "baacbccbcacc"


def test_few_are_spread_evenly() -> None:
    assert sorted(Counter(place(ids_of(3), {"a": 1, "b": 1, "c": 1}).values()).values()) == [1, 1, 1]
    assert max(Counter(place(ids_of(9), {"a": 1, "b": 1, "c": 1}).values()).values()) == 3


def test_a_node_that_comes_or_goes_moves_little_more_than_its_share() -> None:
    ids, nodes = ids_of(2_000), {f"n{number}": 1 for number in range(20)}
    before, after = place(ids, nodes), place(ids, {**nodes, "new": 1})
    moved = [each for each in ids if before[each] != after[each]]
    arrived = sum(after[each] == "new" for each in ids)
    assert 60 < arrived <= 110
    assert len(moved) < arrived + 2_000 // 40


def test_a_partition_that_is_split_moves_hardly_any_other() -> None:
    ids, nodes = ids_of(1_990), {f"n{number}": 1 for number in range(20)}
    before, after = place(ids, nodes), place([*ids[1:], "left", "right"], nodes)
    assert sum(before[each] != after[each] for each in ids[1:]) < 10


def test_shares_are_of_capacity() -> None:
    count = Counter(place(ids_of(2_000), {"small": 1, "large": 3}).values())
    assert 400 < count["small"] < 600
