"""Every order in which processes' operations on one store can come, and every fault, to the end: none is sampled.

At each state any process may go next, so one that is not chosen is one that stalls, and one that is never chosen again
has crashed: both are among the orders, at every operation. Faults cost one of ``faults`` each:

- a write gets no answer: it is done at any later moment, or never, which takes in the lost request and the lost answer;
- a write is answered, and done once more at any later moment or never: a client, or a proxy, had repeated it;
- a put where there is nothing is answered with "there is something", though it was this one that put it: the same;
- a read gets no answer.

What an order leads to is a state: objects, what each process has seen (`Moment`), what may be done yet, and the time.
States that two orders share are gone on from once, which loses nothing: what can come after is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from support.simulation.operations import (
    CLOCK,
    PUT_IF_ABSENT,
    WRITES,
    Answer,
    Failed,
    Objects,
    Operation,
    answer_to,
    done,
)
from support.simulation.processes import Moment, Process, Program, without_chance

STATES_MAX: Final = 5_000_000
"""More than this takes a machine's memory: a scenario is to be smaller."""


class View(NamedTuple):
    """A state, as an invariant sees it. ``notes``: of each process, in its own order."""

    objects: Objects
    notes: Mapping[str, tuple[Hashable, ...]]
    now: float
    is_over: bool
    """All processes have ended, and nothing is to be done yet."""

    def noted(self, kind: str) -> Iterator[tuple[str, tuple[Hashable, ...]]]:
        """The process, and the rest, of each note that begins so."""
        for name, notes in self.notes.items():
            for note in notes:
                assert isinstance(note, tuple)
                if note[0] == kind:
                    yield name, note[1:]


Invariant = Callable[[View], None]
"""Raises AssertionError where the state is wrong."""


class Violation(AssertionError):
    """An order of operations that leads to a wrong state. ``steps``: as one reads them."""

    def __init__(self, reason: str, steps: Sequence[str]) -> None:
        self.reason, self.steps = reason, tuple(steps)
        super().__init__("\n".join([reason, *(f"{number:3} {step}" for number, step in enumerate(steps, 1))]))


@dataclass
class Explored:
    """How much there was. ``schedules``: orders from the start to an end, exactly."""

    states: int = 0
    transitions: int = 0
    schedules: int = 0
    ends: int = 0
    depth: int = 0
    moments: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.states:,} states, {self.transitions:,} transitions, {self.schedules:.3g} schedules, "
            f"{self.ends:,} ends, depth {self.depth}"
        )


class State(NamedTuple):
    """``objects`` and ``late`` stand for themselves in `Explorer`'s lists; ``ticks``: how often time went on."""

    objects: int
    moments: tuple[int, ...]
    late: tuple[Operation, ...]
    faults: int
    ticks: int


class Step(NamedTuple):
    """One transition: who, what, and the fault in it."""

    who: str
    operation: Operation
    what: str

    def __str__(self) -> str:
        return f"{self.who}: {self.operation}{self.what and f' ({self.what})'}"


class Explorer:
    """Explores some programs over one store.

    :param objects: what is there at first.
    :param faults: as many may happen in one order.
    :param tick_s, ticks: how far time goes on at once, and how often it may.
    :param can_fail: which operations faults may happen to.
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
    ) -> None:
        self._programs, self._invariants = programs, invariants
        self._faults, self._ticks, self._tick_s, self._can_fail = faults, ticks, tick_s, can_fail
        self._objects: list[Objects] = []
        self._objects_known: dict[frozenset[tuple[str, bytes]], int] = {}
        self._first = self._known(dict(objects or {}))
        self._checked: set[tuple[Hashable, ...]] = set()
        self._found = Explored()

    def run(self) -> Explored:
        """Visits every state. Raises Violation at the first that is wrong."""
        with without_chance():
            self._processes = [Process(program) for program in self._programs]
            self._moments: list[dict[int, Moment]] = [{p.start.number: p.start} for p in self._processes]
            self._visit(State(self._first, tuple(p.start.number for p in self._processes), (), self._faults, 0))
        self._found.moments = {process.name: process.moments for process in self._processes}
        return self._found

    def _visit(self, first: State) -> None:
        """Depth first. ``orders`` of a state: how many lead from it to an end, known once all after it are."""
        orders: dict[State, int] = {}
        path: list[tuple[State, Iterator[tuple[Step, State]], list[int], Step | None]] = []

        def enter(state: State, step: Step | None) -> None:
            steps = [str(at[3]) for at in path[1:]] + ([str(step)] if step else [])
            after = self._after(state, steps)
            self._check(state, steps, is_over=not after and not state.late)
            path.append((state, iter(after), [int(not after)], step))
            self._found.ends += not after
            self._found.depth = max(self._found.depth, len(path) - 1)
            if len(orders) > STATES_MAX:
                raise AssertionError(f"more than {STATES_MAX:,} states")

        enter(first, None)
        while path:
            state, rest, count, _ = path[-1]
            for step, following in rest:
                self._found.transitions += 1
                known = orders.get(following)
                if known is None:
                    enter(following, step)
                    break
                count[0] += known
            else:
                orders[state] = count[0]
                path.pop()
                if path:
                    path[-1][2][0] += count[0]
        self._found.states, self._found.schedules = len(orders), orders[first]

    def _after(self, state: State, steps: Sequence[str]) -> list[tuple[Step, State]]:
        """All that can happen next."""
        found: list[tuple[Step, State]] = []
        for index, process in enumerate(self._processes):
            moment = self._moments[index][state.moments[index]]
            if moment.failure is not None:
                raise Violation(f"{process.name} has failed: {moment.failure!r}", steps) from moment.failure
            for thread, operation in enumerate(moment.pending):
                if operation is not None:
                    who = process.name if len(moment.pending) == 1 else f"{process.name}/{thread}"
                    for what, answer, objects, late, faults in self._outcomes(state, operation):
                        after = process.after(moment, thread, answer)
                        self._moments[index][after.number] = after
                        moments = (*state.moments[:index], after.number, *state.moments[index + 1 :])
                        following = State(objects, moments, late, faults, state.ticks)
                        found.append((Step(who, operation, what), following))
        for index, operation in enumerate(state.late):
            if index and state.late[index - 1] == operation:
                continue
            objects = self._known(done(operation, self._objects[state.objects]))
            late = state.late[:index] + state.late[index + 1 :]
            found.append((Step("late", operation, ""), state._replace(objects=objects, late=late)))
        if state.ticks < self._ticks and any(p is not None for p in self._pending(state)):
            found.append(
                (Step("time", Operation(CLOCK), f"+{self._tick_s:g} s"), state._replace(ticks=state.ticks + 1))
            )
        return found

    def _pending(self, state: State) -> Iterator[Operation | None]:
        for index, number in enumerate(state.moments):
            yield from self._moments[index][number].pending

    def _outcomes(
        self, state: State, operation: Operation
    ) -> Iterator[tuple[str, Answer, int, tuple[Operation, ...], int]]:
        """What the store may do with it: what is said of it, the answer, and what is then there."""
        late, faults = state.late, state.faults
        if operation.kind == CLOCK:
            yield "", state.ticks * self._tick_s, state.objects, late, faults
            return
        objects = self._objects[state.objects]
        answer, after = answer_to(operation, objects), self._known(done(operation, objects))
        yield "", answer, after, late, faults
        if not faults or not self._can_fail(operation):
            return
        if operation.kind not in WRITES:
            yield "no answer", Failed(operation.name), state.objects, late, faults - 1
            return
        later = tuple(sorted((*late, operation)))
        yield "no answer, yet to be done", Failed(operation.name), state.objects, later, faults - 1
        yield "to be done once more", answer, after, later, faults - 1
        if operation.kind == PUT_IF_ABSENT and answer is True:
            yield "repeated by the client", False, after, late, faults - 1

    def _known(self, objects: Objects) -> int:
        """The same number for the same objects."""
        key = frozenset(objects.items())
        number = self._objects_known.setdefault(key, len(self._objects))
        if number == len(self._objects):
            self._objects.append(objects)
        return number

    def _check(self, state: State, steps: Sequence[str], *, is_over: bool) -> None:
        notes = {
            process.name: self._moments[index][state.moments[index]].notes
            for index, process in enumerate(self._processes)
        }
        key = (state.objects, *notes.values(), state.ticks, is_over)
        if key in self._checked:
            return
        self._checked.add(key)
        view = View(self._objects[state.objects], notes, state.ticks * self._tick_s, is_over)
        for invariant in self._invariants:
            try:
                invariant(view)
            except AssertionError as error:
                raise Violation(f"{invariant.__name__}: {error}", steps) from error
