"""One order of processes' operations, told by a test: for cases that have a name."""

from __future__ import annotations

from collections.abc import Sequence

from support.simulation.operations import CLOCK, WRITES, Answer, Failed, Objects, Operation, answer_to, done
from support.simulation.processes import Moment, Process, Program, without_chance
from support.simulation.world import Invariant, View


class Played:
    """Processes of one thread each over one store, whose operations come when the test says so.

    Checks the invariants after each.
    """

    def __init__(self, programs: Sequence[Program], invariants: Sequence[Invariant]) -> None:
        self.objects: Objects = {}
        self.now_s = 0.0
        self._invariants = invariants
        with without_chance():
            self._processes = {program.name: Process(program) for program in programs}
        self._moments: dict[str, Moment] = {name: process.start for name, process in self._processes.items()}

    def pending(self, name: str) -> Operation | None:
        """What a process asks for, None where it has ended."""
        return self._moments[name].pending[0]

    def until(self, name: str, kind: str, ending: str = "") -> None:
        """Runs a process to where it asks for that, of an object whose name ends so."""
        while (operation := self.pending(name)) is not None:
            if operation.kind == kind and operation.name.endswith(ending):
                return
            self.step(name)
        raise AssertionError(f"{name} has ended without {kind} {ending}")

    def step(self, name: str) -> Operation:
        """One operation of a process is done, and answered."""
        return self._step(name, is_done=True, is_answered=True)

    def lose_answer(self, name: str) -> Operation:
        """One is done, and the process is told that it failed."""
        return self._step(name, is_done=True, is_answered=False)

    def lose_request(self, name: str) -> Operation:
        """One is not done, and the process is told that it failed: it may be done yet (`do_late`)."""
        return self._step(name, is_done=False, is_answered=False)

    def do_late(self, operation: Operation) -> None:
        assert operation.kind in WRITES
        self.objects = done(operation, self.objects)
        self.check()

    def finish(self, name: str) -> None:
        """Runs a process to its end."""
        while self.pending(name) is not None:
            self.step(name)

    def notes(self, name: str) -> list[tuple[object, ...]]:
        return [note for note in self._moments[name].notes if isinstance(note, tuple)]

    def check(self) -> None:
        notes = {name: at.notes for name, at in self._moments.items()}
        claims = {name: at.claims for name, at in self._moments.items()}
        view = View(self.objects, notes, claims, self.now_s, False)
        for invariant in self._invariants:
            invariant(view)

    def _step(self, name: str, *, is_done: bool, is_answered: bool) -> Operation:
        operation = self.pending(name)
        assert operation is not None, f"{name} has ended"
        answer: Answer = Failed(operation.name)
        if is_answered:
            is_clock = operation.kind == CLOCK
            rate = self._processes[name].clock_rate
            answer = self.now_s * rate if is_clock else answer_to(operation, self.objects)
        if is_done:
            self.objects = done(operation, self.objects)
        with without_chance():
            moment = self._processes[name].after(self._moments[name], 0, answer)
        if moment.failure is not None:
            raise moment.failure
        self._moments[name] = moment
        self.check()
        return operation
