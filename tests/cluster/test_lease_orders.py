"""Nodes that own, stall, die, come back, take over and hand over, in every order of their operations on the store.

The control plane is the real one, rows are fenced as SlateDB's are. A node is sure of what it has for two seconds after
it has renewed its lease, and taken for dead after three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.simulation.explorer import Explored, Explorer
from support.simulation.lease_programs import LEASE_INVARIANTS, MakeController, cluster_of, node
from support.simulation.operations import PUT_IF_ABSENT, Operation
from support.simulation.processes import Program
from support.simulation.world import Violation

from lutra.cluster.controller import Controller
from lutra.cluster.holdings import Holding
from lutra.cluster.lease_records import NodeRecord, NodeState
from lutra.cluster.node_board import NodeBoard, SeenNode
from lutra.cluster.node_lease import NodeLease
from lutra.cluster.partition_leases import PartitionLeases

AS_ONE_DIES = {"ticks": 2, "tick_s": 1.5}
"""At the first tick who has not renewed its lease is sure no more, at the second it is declared dead."""

# Of these two nodes the partition is to be `b`'s: with `a` as its owner it is handed over, with `b` it stays.
A_OWNS = [("a", "opened"), ("b", "joined")]
B_OWNS = [("b", "opened"), ("a", "joined")]


def explored(programs: Sequence[Program], first: Sequence[tuple[str, str]], **how: Any) -> Explored:
    return Explorer(programs, LEASE_INVARIANTS, objects=cluster_of(1), first=first, is_reduced=True, **how).run()


def is_claim(operation: Operation) -> bool:
    """Of a lease's number, or of a row's."""
    return operation.kind == PUT_IF_ABSENT


def test_an_owner_that_stalls_or_dies_anywhere_is_replaced_and_may_come_back() -> None:
    """It renews its lease, or is declared dead by the same number: of both that try one loses."""
    found = explored([node("b", 2), node("a", 3)], B_OWNS, **AS_ONE_DIES)
    assert {("a", "opened"), ("a", "acknowledged")} <= found.noted
    assert found.schedules > 10**8


def test_a_handover_to_the_node_that_should_have_it_in_every_order() -> None:
    found = explored([node("a", 2), node("b", 2)], [("a", "opened")], ticks=1, tick_s=3.0)
    assert {("b", "opened"), ("b", "acknowledged")} <= found.noted
    assert found.schedules > 10**8


def test_a_graceful_leave_under_writes_in_every_order() -> None:
    found = explored([node("a", 3, leaves_in=1), node("b", 2)], A_OWNS)
    assert {("b", "opened"), ("b", "acknowledged")} <= found.noted
    assert found.schedules > 10**6


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("programs", "first", "how"),
    [
        ([node("b", 2), node("a", 3)], [("b", "opened")], AS_ONE_DIES),
        ([node("b", 3), node("a", 3)], B_OWNS, AS_ONE_DIES),
        ([node("b", 2), node("a", 3)], B_OWNS, {"ticks": 3, "tick_s": 1.0}),
        ([node("a", 4, leaves_in=1), node("b", 3)], A_OWNS, {}),
        ([node("a", 3, leaves_in=1), node("b", 2)], A_OWNS, {"faults": 1}),
        ([node("a", 2), node("b", 2)], [("a", "opened")], {"ticks": 1, "tick_s": 3.0, "faults": 1}),
        ([node("b", 2), node("a", 3)], B_OWNS, AS_ONE_DIES | {"faults": 1, "can_fail": is_claim}),
    ],
    ids=["joins", "longer", "finer", "leaves", "leaves-fault", "handover-fault", "dies-fault"],
)
def test_more_rounds_finer_times_and_faults(
    programs: Sequence[Program], first: Sequence[tuple[str, str]], how: dict[str, Any]
) -> None:
    found = explored(programs, first, **how)
    print(f"{first}, {how}: {found}")
    assert (programs[1].name, "opened") in found.noted


# --- the explorer bites -----------------------------------------------------------------------------------------------


class TakesWithoutDeclaringDead(Controller):
    """Who has not been seen for long is dead for this node, and is not told."""

    def _declare_dead(self, node: SeenNode) -> None:
        if node.name != self.node:
            self.board = _Believing(self.board, node.name)  # type: ignore[assignment]


class _Believing(NodeBoard):
    def __init__(self, board: NodeBoard, dead: str) -> None:
        vars(self).update(vars(board))
        self._dead = dead

    def is_over(self, name: str, incarnation: int) -> bool:
        return name == self._dead or super().is_over(name, incarnation)

    def alive(self) -> dict[str, NodeRecord]:
        return {name: record for name, record in super().alive().items() if name != self._dead}


class IsSureFromTheAnswerOn(Controller):
    """A renewal counts from its end, not from its start."""

    def _new_lease(self) -> NodeLease:
        return _FromTheAnswerOn(
            self._store, self.node, self._record, self._clock, self._token_bytes, self.settings.margin_s
        )


class _FromTheAnswerOn(NodeLease):
    def _confirm(self, names: Sequence[str]) -> None:
        super()._confirm(names)
        if self._sure_until_s is not None:
            self._sure_until_s = self._clock() + self.record.ttl_s


class DoesNotLookWhoWasFaster(Controller):
    """Takes a partition's lease for its own whoever put it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._leases = _Taking(self._store, self._token_bytes)


class _Taking(PartitionLeases):
    def put_next(self, partition_id: str, epoch: int, record: Any) -> bool:
        super().put_next(partition_id, epoch, record)
        return True


class ReleasesBeforeItCloses(Controller):
    """The successor is named while this node still answers."""

    def _move(self, holding: Holding, successor: str | None) -> None:
        self._release(holding, successor)
        self._maps.newest()
        self._opener.close(holding.partition_id)


class RenewsThoughDead(Controller):
    """Whoever has put the next number, this node goes on after it."""

    def _new_lease(self) -> NodeLease:
        return _Renewing(self._store, self.node, self._record, self._clock, self._token_bytes, self.settings.margin_s)


class _Renewing(NodeLease):
    def _put(self, number: int, record: NodeRecord) -> NodeRecord | None:
        newest = max(self._log.numbers(), default=0)
        if newest >= number and self._has_joined and record.state is NodeState.ALIVE:
            number = newest + 1
        return super()._put(number, record)


MUTANTS = [
    pytest.param(TakesWithoutDeclaringDead, 2, None, AS_ONE_DIES, id="TakesWithoutDeclaringDead"),
    pytest.param(IsSureFromTheAnswerOn, 2, None, {"ticks": 2, "tick_s": 1.6}, id="IsSureFromTheAnswerOn"),
    pytest.param(ReleasesBeforeItCloses, 2, 1, {}, id="ReleasesBeforeItCloses"),
    pytest.param(RenewsThoughDead, 2, None, AS_ONE_DIES, id="RenewsThoughDead"),
    pytest.param(DoesNotLookWhoWasFaster, 3, None, AS_ONE_DIES, id="DoesNotLook", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("mutant", "rounds", "leaves_in", "how"), MUTANTS)
def test_a_control_plane_with_a_fault_is_found_out(
    mutant: MakeController, rounds: int, leaves_in: int | None, how: dict[str, Any]
) -> None:
    nodes = [
        node("b", rounds, make_controller=mutant),
        node("a", 3, leaves_in=leaves_in, make_controller=mutant),
    ]
    with pytest.raises(Violation) as found:
        explored(nodes, B_OWNS if leaves_in is None else A_OWNS, **how)
    assert "has failed" not in found.value.reason
