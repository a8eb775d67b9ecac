"""Who is alive, as one node sees it: from one list of names, by its own clock."""

from __future__ import annotations

import pytest
from support.memory_store import MemoryStore

from lutra.cluster.lease_records import NODES, NodeRecord, NodeState
from lutra.cluster.node_board import NodeBoard
from lutra.cluster.node_lease import KEPT, MARGIN_S, TTL_S, NodeLease, mark_name
from lutra.objects.manifest_log import ManifestLog


class Nodes:
    """Some nodes, and one who looks at them."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.store = MemoryStore(self.objects)
        self.now_s = 0.0
        self.tokens = 0
        self.leases: dict[str, NodeLease] = {}
        self.board = self.new_board()

    def token_bytes(self, length: int) -> bytes:
        self.tokens += 1
        return self.tokens.to_bytes(length, "big")

    def new_board(self) -> NodeBoard:
        return NodeBoard(self.store, lambda: self.now_s, self.token_bytes)

    def join(self, name: str, capacity: int = 1) -> NodeLease:
        record = NodeRecord(0, f"{name}:80", TTL_S, capacity)
        lease = NodeLease(MemoryStore(self.objects), name, record, lambda: self.now_s, self.token_bytes)
        assert lease.join()
        self.leases[name] = lease
        return lease

    def second(self, *renewed: str, board: NodeBoard | None = None) -> None:
        """Time passes, these renew, and the board is looked at."""
        self.now_s += 1
        for name in renewed:
            self.leases[name].renew()
        board = board or self.board
        board.look(self.store.list(NODES))
        board.read_new(lambda tasks: [task() for task in tasks])


@pytest.fixture
def nodes() -> Nodes:
    nodes = Nodes()
    for name in ("a", "b"):
        nodes.join(name)
    nodes.second("a", "b")
    return nodes


def test_what_only_says_alive_is_not_read(nodes: Nodes) -> None:
    assert {name: record.address for name, record in nodes.board.alive().items()} == {"a": "a:80", "b": "b:80"}
    gets = nodes.store.requests.gets
    for _ in range(10):
        nodes.second("a", "b")
    assert nodes.store.requests.gets == gets
    assert nodes.board.late() == []


def test_who_comes_is_seen_and_who_leaves_too(nodes: Nodes) -> None:
    nodes.join("c", capacity=2)
    nodes.second("a", "b")
    assert nodes.board.alive()["c"].capacity == 2
    nodes.leases["b"].leave()
    nodes.second("a", "c")
    assert sorted(nodes.board.alive()) == ["a", "c"]
    assert nodes.board.is_over("b", 1)


def test_who_says_that_it_is_leaving_gets_nothing_more_but_is_not_over(nodes: Nodes) -> None:
    lease = nodes.leases["b"]
    lease.record = NodeRecord(1, "b:80", TTL_S, state=NodeState.LEAVING)
    nodes.second("a", "b")
    assert sorted(nodes.board.alive()) == ["a"]
    assert not nodes.board.is_over("b", 1)
    assert nodes.board.address("b", 1) == "b:80"


def test_who_is_silent_is_late_after_its_time_to_live_and_a_margin(nodes: Nodes) -> None:
    for _ in range(int(TTL_S + MARGIN_S)):
        nodes.second("a")
        assert nodes.board.late() == []
    nodes.second("a")
    (late,) = nodes.board.late()
    assert late.name == "b"
    assert nodes.board.declare_dead(late)
    assert nodes.board.is_over("b", 1)
    assert nodes.board.address("b", 1) is None
    assert nodes.board.late() == []
    nodes.leases["b"].renew()
    assert nodes.leases["b"].is_over


def test_of_two_who_take_one_for_dead_one_does(nodes: Nodes) -> None:
    other = nodes.new_board()
    nodes.second("a", "b", board=other)
    for _ in range(7):
        nodes.second("a")
        nodes.now_s -= 1
        nodes.second(board=other)
    assert nodes.board.declare_dead(nodes.board.late()[0])
    assert not other.declare_dead(other.late()[0])
    nodes.second("a", board=other)
    assert other.is_over("b", 1)


def test_who_stalls_before_it_takes_one_for_dead_has_not_though_the_number_is_free_again(nodes: Nodes) -> None:
    for _ in range(7):
        nodes.second("a")
    (late,) = nodes.board.late()
    for _ in range(2 * KEPT):
        nodes.leases["b"].renew()
    assert late.number + 1 not in ManifestLog(nodes.store, f"{NODES}/b").numbers()
    assert not nodes.board.declare_dead(late)
    assert not nodes.board.is_over("b", 1)
    nodes.leases["b"].renew()
    assert nodes.leases["b"].is_sure()


def test_a_death_that_was_not_marked_is_found_out(nodes: Nodes) -> None:
    other = nodes.new_board()
    nodes.second("a", "b", board=other)
    for _ in range(7):
        nodes.second("a")
    assert nodes.board.declare_dead(nodes.board.late()[0])
    nodes.store.delete(mark_name("b", nodes.board.known["b"].number))
    for _ in range(int(TTL_S)):
        nodes.second("a", board=other)
    assert other.is_over("b", 1)


@pytest.mark.parametrize("away_s", [TTL_S + 1, 100.0])
def test_who_was_away_gives_all_others_their_time_again(nodes: Nodes, away_s: float) -> None:
    """Where the store was away from all, nobody is to take everybody else for dead."""
    nodes.now_s += away_s
    nodes.second()
    assert nodes.board.late() == []
    for _ in range(6):
        nodes.second("a")
    assert [late.name for late in nodes.board.late()] == ["b"]


def test_of_a_run_that_it_has_not_heard_of_it_does_not_say_that_it_is_over(nodes: Nodes) -> None:
    nodes.leases["b"].leave()
    nodes.second("a")
    newer = nodes.join("b")
    assert nodes.board.is_over("b", 1)
    assert not nodes.board.is_over("b", newer.record.incarnation)
    assert not nodes.board.is_over("unheard", 1)
    nodes.second("a")
    assert nodes.board.is_over("b", 1)
    assert not nodes.board.is_over("b", newer.record.incarnation)


def test_a_renewal_between_the_list_and_the_read_is_no_harm(nodes: Nodes) -> None:
    names = nodes.store.list(NODES)
    for _ in range(KEPT + 2):
        nodes.leases["b"].renew()
    board = nodes.new_board()
    board.look(names)
    board.read_new(lambda tasks: [task() for task in tasks])
    assert board.known["b"].number == KEPT + 4
    assert sorted(board.alive()) == ["a", "b"]
