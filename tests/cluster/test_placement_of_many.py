"""How the placement behaves when nodes come, go and die, as `bench.placement` shows it of many more."""

from __future__ import annotations

from bench.placement import at_size, idle_requests, simulate


def test_little_moves_and_nodes_stay_even() -> None:
    events = {event.name: event for event in simulate(50, 5_000, open_s=1.0, opens_at_once=4)}
    assert all(event.uneven_partitions <= 1.12 for event in events.values())
    assert all(event.moved <= event.least + 0.03 for event in events.values())
    died = events["a node dies"]
    assert died.moved >= died.least > 0
    assert 8.0 < died.recover_s < 12.0
    assert events["another joins"].recover_s == 0.0


def test_a_node_asks_as_much_of_the_store_however_many_there_are() -> None:
    two, three = idle_requests(2), idle_requests(3)
    assert (two.puts, two.lists, two.gets) == (three.puts, three.lists, three.gets)
    assert two.lists <= 2.0
    assert at_size(three, 1_000).lists > three.lists
