"""A node's lease: of all who can put the next number one wins, and it is never surer of itself than others allow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.memory_store import LostAnswer, LostRequest, MemoryStore

from lutra.cluster.lease_records import NODES, NodeRecord, NodeState, require_node_name
from lutra.cluster.node_board import NodeBoard
from lutra.cluster.node_lease import KEPT, MARGIN_S, TTL_S, NodeLease, boot_clock_s
from lutra.model.errors import Corruption, ParameterInvalid, StorageFailure
from lutra.objects.manifest_log import ManifestLog


class World:
    """One store and one time. ``at``: what happens before the next request of that kind, of whoever makes it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.now_s = 100.0
        self.tokens = 0
        self.at: dict[str, list[Callable[[], None]]] = {}

    def token_bytes(self, length: int) -> bytes:
        self.tokens += 1
        return self.tokens.to_bytes(length, "big")

    def before(self, kind: str, name: str) -> None:
        if self.at.get(kind):
            self.at[kind].pop(0)()

    def lease(self, *, disturbed: bool = False) -> NodeLease:
        store = MemoryStore(self.objects, self.before if disturbed else None)
        return NodeLease(store, "n1", NodeRecord(0, "n1:80", TTL_S), lambda: self.now_s, self.token_bytes)

    def board(self) -> NodeBoard:
        return NodeBoard(MemoryStore(self.objects), lambda: self.now_s, self.token_bytes)

    def look(self, board: NodeBoard) -> NodeBoard:
        board.look(MemoryStore(self.objects).list(NODES))
        board.read_new(lambda tasks: [task() for task in tasks])
        return board

    def passes(self, seconds: float) -> None:
        self.now_s += seconds

    def numbers(self) -> list[int]:
        return ManifestLog(MemoryStore(self.objects), f"{NODES}/n1").numbers()

    def declare_dead(self) -> None:
        """By who has waited long enough."""
        board = self.look(self.board())
        for _ in range(7):
            self.passes(1)
            self.look(board)
        (late,) = board.late()
        assert board.declare_dead(late)

    def renew_often(self) -> None:
        """Another run of it joins and goes on, until the oldest numbers are deleted."""
        other = self.lease()
        while not other.join():
            self.passes(TTL_S)
        for _ in range(2 * KEPT):
            other.renew()


@pytest.fixture
def world() -> World:
    return World()


def fail(error: type[Exception]) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def test_it_is_sure_for_less_than_others_wait(world: World) -> None:
    lease = world.lease()
    assert not lease.is_sure()
    assert lease.join()
    assert lease.record.incarnation == 1
    assert lease.sure_for_s() == TTL_S - MARGIN_S
    world.passes(TTL_S - MARGIN_S - 0.01)
    assert lease.is_sure()
    world.passes(0.02)
    assert not lease.is_sure()
    lease.renew()
    assert lease.is_sure()
    assert world.numbers() == [1, 2]


def test_a_renewal_costs_a_put_a_list_and_a_delete(world: World) -> None:
    store = MemoryStore(world.objects)
    lease = NodeLease(store, "n1", NodeRecord(0, "n1:80", TTL_S), lambda: world.now_s, world.token_bytes)
    lease.join()
    for _ in range(KEPT + 1):
        lease.renew()
    before = store.requests
    lease.renew()
    spent = store.requests - before
    assert (spent.puts, spent.lists, spent.deletes, spent.gets) == (1, 1, 1, 0)
    assert len(world.numbers()) == KEPT
    assert len(world.objects) == KEPT + 1  # and one mark


def test_sureness_counts_from_the_start_of_the_put(world: World) -> None:
    lease = world.lease(disturbed=True)
    lease.join()
    world.at = {"put_if_absent": [lambda: world.passes(2)], "list": [lambda: world.passes(1)]}
    lease.renew()
    assert lease.sure_for_s() == TTL_S - MARGIN_S - 3


def test_a_renewal_that_takes_too_long_is_said_again(world: World) -> None:
    lease = world.lease(disturbed=True)
    lease.join()
    world.at = {"list": [lambda: world.passes(20)]}
    lease.renew()
    assert lease.sure_for_s() == TTL_S - MARGIN_S
    assert world.numbers() == [1, 2, 3]


def test_who_is_taken_for_dead_loses_its_next_number(world: World) -> None:
    lease = world.lease()
    lease.join()
    world.declare_dead()
    lease.renew()
    assert lease.is_over
    assert not lease.is_sure()


def test_who_stalls_in_the_midst_of_a_renewal_loses_also_when_its_number_is_free_again(world: World) -> None:
    lease = world.lease(disturbed=True)
    lease.join()

    def stall() -> None:
        world.declare_dead()
        world.renew_often()
        assert 2 not in world.numbers()

    world.at = {"put_if_absent": [stall]}
    lease.renew()
    assert 2 in world.numbers()  # it was put, and means nothing
    assert lease.is_over
    assert not lease.is_sure()
    board = world.look(world.board())
    assert board.known["n1"].number == max(world.numbers())
    assert board.is_over("n1", 1)


def test_who_joins_while_its_number_is_taken_and_freed_has_not_joined(world: World) -> None:
    lease = world.lease(disturbed=True)
    world.at = {"put_if_absent": [world.renew_often]}
    assert not lease.join()
    assert not lease.has_joined


def test_a_lost_answer_is_found_out_at_once(world: World) -> None:
    lease = world.lease(disturbed=True)
    lease.join()
    world.at = {"put_if_absent": [fail(LostAnswer)]}
    lease.renew()
    assert lease.is_sure()
    assert world.numbers() == [1, 2]


def test_a_renewal_that_failed_counts_from_its_first_try(world: World) -> None:
    """What was put by the first try others may have seen since then."""
    lease = world.lease(disturbed=True)
    lease.join()
    world.at = {"put_if_absent": [fail(LostAnswer)], "get": [fail(LostAnswer)] * 3}
    world.at["put_if_absent"] += [fail(LostRequest)] * 2
    with pytest.raises(StorageFailure):
        lease.renew()
    assert world.numbers() == [1, 2]
    world.passes(3)
    lease.renew()
    assert lease.sure_for_s() == TTL_S - MARGIN_S - 3
    assert world.numbers() == [1, 2]
    lease.renew()
    assert world.numbers() == [1, 2, 3]


def test_a_store_that_fails_leaves_it_sure_as_long_as_it_was(world: World) -> None:
    lease = world.lease(disturbed=True)
    lease.join()
    world.passes(1)
    world.at = {"put_if_absent": [fail(LostRequest)] * 3, "get": [fail(LostRequest)] * 3}
    with pytest.raises(StorageFailure):
        lease.renew()
    assert lease.sure_for_s() == TTL_S - MARGIN_S - 1


def test_a_restarted_node_waits_until_its_last_run_cannot_be_sure(world: World) -> None:
    killed = world.lease()
    killed.join()
    restarted = world.lease()
    assert not restarted.join()
    world.passes(TTL_S)
    assert not killed.is_sure()
    assert not restarted.join()
    world.passes(MARGIN_S + 0.1)
    assert restarted.join()
    assert restarted.record.incarnation == 2
    killed.renew()
    assert killed.is_over


def test_a_second_run_of_a_node_that_is_alive_never_joins(world: World) -> None:
    alive, second = world.lease(), world.lease()
    alive.join()
    for _ in range(20):
        assert not second.join()
        world.passes(1)
        alive.renew()
    assert alive.is_sure()


def test_after_a_graceful_end_a_new_run_joins_at_once(world: World) -> None:
    lease = world.lease()
    lease.join()
    lease.leave()
    assert lease.is_over
    assert not lease.is_sure()
    assert world.look(world.board()).is_over("n1", 1)
    assert world.lease().join()


def test_leaving_is_said_also_after_an_unknown_renewal(world: World) -> None:
    lease = world.lease(disturbed=True)
    lease.join()
    world.at = {"put_if_absent": [fail(LostAnswer)] * 3, "get": [fail(LostAnswer)] * 3}
    with pytest.raises(StorageFailure):
        lease.renew()
    lease.leave()
    newest = NodeRecord.from_json(ManifestLog(MemoryStore(world.objects), f"{NODES}/n1").read(3).payload)
    assert newest.state is NodeState.LEFT
    assert lease.is_over


def test_records_that_are_none_are_refused() -> None:
    for data in (b"", b"{}", b'{"format": 2}', b"[]"):
        with pytest.raises(Corruption):
            NodeRecord.from_json(data)


@pytest.mark.parametrize("name", ["", "a/b", ".a", "x" * 65, "é"])
def test_names_that_are_no_parts_of_objects_names_are_refused(name: str) -> None:
    with pytest.raises(ParameterInvalid, match="not the name of a node"):
        require_node_name(name)


def test_the_clock_goes_on() -> None:
    first_s = boot_clock_s()
    assert boot_clock_s() >= first_s > 0


def test_who_waits_for_another_of_its_name_tells_of_it_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Two nodes that were given one name: the second never joins, and somebody is to know why."""
    first, second = world.lease(), world.lease()
    assert first.join()
    assert not second.join()
    assert not caplog.records, "it may be a run that was killed"
    for _ in range(3):
        world.passes(1)
        first.renew()
        assert not second.join()
    (told,) = [record.getMessage() for record in caplog.records]
    assert "another node n1 is alive, at n1:80" in told
