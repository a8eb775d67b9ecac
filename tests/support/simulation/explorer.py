"""Every order in which processes' operations on one store can come, and every fault, to the end: none is sampled.

At each state any process may go next, so one that is not chosen is one that stalls, and one that is never chosen again
has crashed: both are among the orders, at every operation. Faults cost one of ``faults`` each:

- a write gets no answer: it is done at any later moment, or never, which takes in the lost request and the lost answer;
- a write is answered, and done once more at any later moment or never: a client, or a proxy, had repeated it;
- a put where there is nothing is answered with "there is something", though it was this one that put it: the same;
- a read gets no answer.

Time goes on right before a process looks at its clock: elsewhere nobody would see it, and who is sure of something is
sure of less and less as time goes on.

What an order leads to is a state. States that two orders share are gone on from once, which loses nothing: what can
come after is the same. With ``is_reduced``, of orders that differ only by which of two operations came first, though
neither sees nor changes what the other does, one is gone through: dynamic partial order
reduction (Flanagan and Godefroid, 2005) with what comes after a state kept with it (Yang et al., 2008).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from support.simulation.conflicts import Conflicts
from support.simulation.operations import CLOCK, Objects, Operation
from support.simulation.processes import Program, without_chance
from support.simulation.world import Choice, Invariant, State, Step, World

STATES_MAX: Final = 5_000_000
"""More than this takes a machine's memory: a scenario is to be smaller."""


@dataclass
class Explored:
    """How much there was. ``schedules``: orders from the start to an end that were told apart.

    ``noted``: the kinds of notes that each process made in some order, so that one knows what was reached at all.
    """

    states: int = 0
    transitions: int = 0
    schedules: int = 0
    ends: int = 0
    depth: int = 0
    moments: dict[str, int] = field(default_factory=dict)
    noted: set[tuple[str, Hashable]] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"{self.states:,} states, {self.transitions:,} transitions, {self.schedules:.3g} schedules, "
            f"{self.ends:,} ends, depth {self.depth}"
        )


@dataclass(slots=True)
class _Visit:
    """A state that is being gone on from. ``wanted``: who is to go next in some order; ``below``: what happens then.

    ``happening``: what led to where the search is now.
    """

    state: State
    step: Step | None
    choices: dict[tuple[int, ...], Choice]
    wanted: list[tuple[int, ...]]
    left: Iterator[Step]
    thread: tuple[int, ...] = ()
    tried: int = 0
    schedules: int = 0
    below: int = 0
    happening: int = -1


class Explorer:
    """Explores some programs over one store.

    :param faults: as many may happen in one order.
    :param first: processes of which each runs alone until it notes that, before all orders are gone through.
    The others are as `World` has them.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        invariants: Sequence[Invariant],
        *,
        objects: Objects | None = None,
        faults: int = 0,
        ticks: int = 0,
        tick_s: float = 1.0,
        can_fail: Callable[[Operation], bool] = lambda operation: True,
        first: Sequence[tuple[str, str]] = (),
        is_reduced: bool = False,
    ) -> None:
        self._make_world = lambda: World(
            programs, invariants, objects=dict(objects or {}), ticks=ticks, tick_s=tick_s, can_fail=can_fail
        )
        self._faults, self._run_first, self._is_reduced = faults, first, is_reduced
        self._conflicts = Conflicts()
        self._late: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
        """Threads of operations that are done late: of the threads that asked for them."""
        self._late_numbers: dict[Operation, int] = {}
        self._path: list[_Visit] = []
        self._visited: dict[State, tuple[int, int]] = {}
        """Of each state: how many orders lead from it to an end, and what happens in them."""
        self.found = Explored()

    def run(self) -> Explored:
        """Visits every state. Raises Violation at the first that is wrong."""
        with without_chance(), _without_logs():
            self._world = self._make_world()
            first = self._begin()
            self._enter(first, None)
            while self._path:
                self._go_on()
        self.found.states, self.found.schedules = len(self._visited), self._visited[first][0]
        self.found.moments = {process.name: process.moments for process in self._world.processes}
        return self.found

    def _begin(self) -> State:
        """Where all orders begin."""
        world = self._world
        state = world.start
        for name, kind in self._run_first:
            index = [process.name for process in world.processes].index(name)
            while not any(isinstance(n, tuple) and n[0] == kind for n in world.moment(state, index).notes):
                choice = next(choice for choice in world.choices(state) if choice.process == index)
                state = world.steps(state, choice)[0].after
        return state._replace(faults=self._faults)

    def _enter(self, state: State, step: Step | None) -> None:
        choices = {self._thread(choice): choice for choice in self._world.choices(state)}
        wanted = list(choices)
        if self._is_reduced:
            wanted = wanted[:1]
        self._path.append(_Visit(state, step, choices, wanted, iter(()), schedules=int(not choices)))
        self._world.check(state, self._told)
        self.found.ends += not choices
        self.found.depth = max(self.found.depth, len(self._path) - 1)
        assert len(self._visited) <= STATES_MAX, f"more than {STATES_MAX:,} states"

    def _told(self) -> list[str]:
        return [str(visit.step) for visit in self._path[1:]]

    def _go_on(self) -> None:
        """One step deeper where there is one, else one back."""
        visit = self._path[-1]
        step = next(visit.left, None)
        while step is None and visit.tried < len(visit.wanted):
            visit.thread = visit.wanted[visit.tried]
            visit.tried += 1
            visit.left = iter(self._world.steps(visit.state, visit.choices[visit.thread]))
            step = next(visit.left, None)
        if step is None:
            self._leave()
            return
        self.found.transitions += 1
        self._note(visit, step)
        known = self._visited.get(step.after)
        if known is None:
            self._enter(step.after, step)
        else:
            self._take_in(visit, *known)

    def _leave(self) -> None:
        visit = self._path.pop()
        self._visited[visit.state] = visit.schedules, visit.below
        if self._path:
            self._take_in(self._path[-1], visit.schedules, visit.below, is_known=True)

    def _take_in(self, visit: _Visit, schedules: int, below: int, *, is_known: bool = False) -> None:
        """What comes after the step that a visit has just made. ``is_known``: it was compared with the path already."""
        visit.schedules += schedules
        visit.below |= below
        if self._is_reduced and not is_known:
            self._compare(below, len(self._path))

    def _note(self, visit: _Visit, step: Step) -> None:
        """A step that is made now: who might have gone before those on the path that it does not commute with?"""
        if step.is_visible and step.operation.kind != CLOCK:
            index = max(visit.thread[0], 0)
            name, notes = self._world.processes[index].name, self._world.moment(step.after, index).notes
            self.found.noted |= {(name, note[0]) for note in notes if isinstance(note, tuple)}
        if not self._is_reduced:
            return
        for operation in step.after.late:
            if operation not in visit.state.late:
                self._late.setdefault(self._late_thread(operation), set()).add(visit.thread)
        can_tick = step.operation.kind == CLOCK and self._world.can_tick(visit.state)
        number = self._conflicts.number(visit.thread, step.operation, is_visible=step.is_visible, can_tick=can_tick)
        visit.happening = number
        visit.below |= 1 << number
        self._compare(1 << number, len(self._path) - 1)

    def _compare(self, happenings: int, depth: int) -> None:
        for visit in self._path[:depth]:
            for thread in self._conflicts.among(happenings, visit.happening):
                self._want(visit, thread)

    def _want(self, visit: _Visit, thread: tuple[int, ...]) -> None:
        """Some order is to have that thread go on from there; where it is not there yet, who makes it."""
        if thread in visit.choices:
            if thread not in visit.wanted:
                visit.wanted.append(thread)
            return
        for maker in self._late.get(thread, ()):
            self._want(visit, maker)

    def _thread(self, choice: Choice) -> tuple[int, ...]:
        return (choice.process, choice.thread) if choice.process >= 0 else self._late_thread(choice.operation)

    def _late_thread(self, operation: Operation) -> tuple[int, ...]:
        return (-1, self._late_numbers.setdefault(operation, len(self._late_numbers)))


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    """What is logged once is logged a thousand times."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
