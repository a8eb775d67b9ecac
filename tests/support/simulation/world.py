"""Processes over one store at one moment, and all that can happen next."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from support.simulation.operations import (
    CLOCK,
    PAUSE,
    PUT_IF_ABSENT,
    WRITES,
    Answer,
    Failed,
    Objects,
    Operation,
    answer_to,
    done,
)
from support.simulation.processes import Moment, Process, Program


class View(NamedTuple):
    """A state, as an invariant sees it: of each process what it noted, in its order, and what it claims."""

    objects: Objects
    notes: Mapping[str, tuple[Hashable, ...]]
    claims: Mapping[str, Hashable]
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


class State(NamedTuple):
    """``objects`` and ``moments`` stand for what `World` keeps. ``late``: what may be done yet, or never.

    ``faults``: as many may happen yet; ``ticks``: how often time went on.
    """

    objects: int
    moments: tuple[int, ...]
    late: tuple[Operation, ...]
    faults: int
    ticks: int


class Choice(NamedTuple):
    """Who goes next: a thread of a process; or, with process -1, an operation that was not answered is done."""

    process: int
    thread: int
    operation: Operation


class Step(NamedTuple):
    """What came of a choice. ``is_visible``: some process noted something, claims something else, or time went on."""

    who: str
    operation: Operation
    what: str
    after: State
    is_visible: bool

    def __str__(self) -> str:
        return f"{self.who}: {self.operation}{self.what and f' ({self.what})'}"


class World:
    """Of some programs.

    :param objects: what is there at first.
    :param tick_s, ticks: how far time goes on at least, and how often it may.
    :param can_fail: which operations faults may happen to.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        invariants: Sequence[Invariant],
        *,
        objects: Objects,
        ticks: int,
        tick_s: float,
        can_fail: Callable[[Operation], bool],
    ) -> None:
        self.processes = [Process(program) for program in programs]
        self._moments: list[dict[int, Moment]] = [{each.start.number: each.start} for each in self.processes]
        self._invariants, self._ticks, self._tick_s, self._can_fail = invariants, ticks, tick_s, can_fail
        self._objects: list[Objects] = []
        self._objects_known: dict[frozenset[tuple[str, bytes]], int] = {}
        self._checked: set[tuple[Hashable, ...]] = set()
        self.start = State(self._known(objects), tuple(each.start.number for each in self.processes), (), 0, 0)

    def moment(self, state: State, process: int) -> Moment:
        return self._moments[process][state.moments[process]]

    def choices(self, state: State) -> list[Choice]:
        """Who may go next: nobody where all have ended."""
        found = [
            Choice(process, thread, operation)
            for process in range(len(self.processes))
            for thread, operation in enumerate(self.moment(state, process).pending)
            if operation is not None
        ]
        return found + [Choice(-1, 0, operation) for operation in dict.fromkeys(state.late)]

    def steps(self, state: State, choice: Choice) -> list[Step]:
        """All that may come of it."""
        operation = choice.operation
        if choice.process < 0:
            late = list(state.late)
            late.remove(operation)
            objects = self._known(done(operation, self._objects[state.objects]))
            return [Step("late", operation, "", state._replace(objects=objects, late=tuple(late)), False)]
        process, moment = self.processes[choice.process], self.moment(state, choice.process)
        who = process.name if len(moment.pending) == 1 else f"{process.name}/{choice.thread}"
        found = []
        for what, answer, following in self._outcomes(state, process, operation):
            after = process.after(moment, choice.thread, answer)
            self._moments[choice.process][after.number] = after
            moments = (*state.moments[: choice.process], after.number, *state.moments[choice.process + 1 :])
            is_visible = (after.notes, after.claims) != (moment.notes, moment.claims) or following.ticks != state.ticks
            found.append(Step(who, operation, what, following._replace(moments=moments), is_visible))
        return found

    def _outcomes(self, state: State, process: Process, operation: Operation) -> Iterator[tuple[str, Answer, State]]:
        """What may become of it: what is said of that, the answer, and the state but for who asked."""
        if operation.kind == CLOCK:
            for ticks in range(state.ticks, self._ticks + 1):
                now_s = ticks * self._tick_s
                yield f"{now_s:g} s", now_s * process.clock_rate, state._replace(ticks=ticks)
            return
        if operation.kind == PAUSE:
            yield "", None, state
            return
        objects = self._objects[state.objects]
        answer, after = answer_to(operation, objects), state._replace(objects=self._known(done(operation, objects)))
        yield "", answer, after
        if not state.faults or not self._can_fail(operation):
            return
        after, failed = after._replace(faults=state.faults - 1), state._replace(faults=state.faults - 1)
        if operation.kind not in WRITES:
            yield "no answer", Failed(operation.name), failed
            return
        later = tuple(sorted((*state.late, operation)))
        yield "no answer, yet to be done", Failed(operation.name), failed._replace(late=later)
        yield "to be done once more", answer, after._replace(late=later)
        if operation.kind == PUT_IF_ABSENT and answer is True:
            yield "repeated by the client", False, after

    def can_tick(self, state: State) -> bool:
        """Whether time may go on."""
        return state.ticks < self._ticks

    def check(self, state: State, steps: Callable[[], Sequence[str]]) -> None:
        """Raises Violation, with the steps that led to it, where the state is wrong."""
        moments = {process.name: self.moment(state, index) for index, process in enumerate(self.processes)}
        for name, moment in moments.items():
            if moment.failure is not None:
                raise Violation(f"{name} has failed: {moment.failure!r}", steps()) from moment.failure
        view = self.view(state)
        key = (state.objects, *view.notes.values(), *view.claims.values(), view.now, view.is_over)
        if key in self._checked:
            return
        self._checked.add(key)
        for invariant in self._invariants:
            try:
                invariant(view)
            except AssertionError as error:
                raise Violation(f"{invariant.__name__}: {error}", steps()) from error

    def view(self, state: State) -> View:
        moments = {process.name: self.moment(state, index) for index, process in enumerate(self.processes)}
        return View(
            self._objects[state.objects],
            {name: moment.notes for name, moment in moments.items()},
            {name: moment.claims for name, moment in moments.items()},
            state.ticks * self._tick_s,
            not state.late and not any(any(moment.pending) for moment in moments.values()),
        )

    def _known(self, objects: Objects) -> int:
        """The same number for the same objects."""
        key = frozenset(objects.items())
        number = self._objects_known.setdefault(key, len(self._objects))
        if number == len(self._objects):
            self._objects.append(objects)
        return number
