"""Real code as a process whose doings follow from the answers that it was given, and from nothing else.

A process shares nothing with others but the store and the clock, and draws no chance of its own (`without_chance`). So
its state is the list of the answers it was given, a `Moment`, and what it does after each list is found out once, by
running it with those answers; whoever explores how several processes interleave goes from moment to moment without
running them again. Its threads are greenlets: each hands control back whenever it asks the store for something.

Between two rounds of its work a process may say what it knows (`Context.knows`): all that its further doings depend on.
Moments after which it knows the same are one, however it came to know it.
"""

from __future__ import annotations

import contextlib
import enum
import secrets
import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from inspect import isroutine
from threading import Lock, RLock
from typing import Any
from unittest.mock import patch

from greenlet import GreenletExit, getcurrent, greenlet
from support.simulation.asked_store import AskedStore
from support.simulation.operations import CLOCK, PAUSE, Answer, Operation

Thread = Callable[[], None]


class Context:
    """What a process has of the world: a store, a clock, and a book for what its tests are to know."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[Hashable] = []
        self.store = AskedStore(self._ask)
        self.is_replayed = True
        """It is brought to where it was before."""
        self.is_gone = False
        """Nobody runs it any more: what it has open ends."""
        self.known: Hashable = None
        self.claims: Callable[[], Hashable] = lambda: None
        """What the process takes for true at a moment, such as that something is its own: a program may set this."""
        self._drawn = 0
        self._now_s: float | None = None

    def now(self) -> float:
        """Seconds of a monotonic clock, which goes on only while the store is asked: all else takes no time."""
        if getcurrent().parent is None:
            return 0.0  # before its threads have begun
        if self._now_s is None:
            seconds = self._ask(Operation(CLOCK))
            assert isinstance(seconds, float)
            self._now_s = seconds
        return self._now_s

    def time_went_on(self) -> None:
        """Of which `now` knows nothing by itself: another of its threads may have asked last."""
        self._now_s = None

    def pause(self, seconds: float = 0.0) -> None:
        """Lets other threads go on, for so long where there is a time of day."""
        self._ask(Operation(PAUSE, f"{seconds:g}"))

    def note(self, *event: Hashable) -> None:
        """Says what has come about, such as that a client was told that its write is there."""
        self.notes.append(event)

    def knows(self, *state: Any) -> None:
        """Says, between two rounds of a thread that is the process's only one, what its further doings depend on.

        That is what the round's loop holds, and where it is in it. Objects of Lutra are taken as what they hold.
        """
        if not self.is_replayed:
            self.known = (self._drawn, self._now_s, frozen(state))

    def draw(self, size: int) -> str:
        """In the place of random bytes, in hex: others at each call, and in each process; the same in each run."""
        self._drawn += 1
        if self.name in "abcdef":
            return f"{self.name}{self._drawn:02x}".zfill(2 * size)
        return f"{self.name.encode().hex()}{self._drawn:04x}".zfill(2 * size)

    def _ask(self, operation: Operation) -> Answer:
        if self.is_gone:
            raise GreenletExit
        self._now_s = None
        return getcurrent().parent.switch(operation)


@dataclass(frozen=True)
class Program:
    """What a process runs: ``threads`` makes them, in each run anew. Its clock runs ``clock_rate`` times as fast."""

    name: str
    threads: Callable[[Context], Sequence[Thread]]
    clock_rate: float = 1.0


class Moment:
    """A process after a list of answers. ``pending``: what each thread has asked for; None: it has ended."""

    __slots__ = ("after", "before", "claims", "failure", "notes", "number", "pending")

    def __init__(
        self,
        number: int,
        before: tuple[Moment, int, Answer] | None,
        pending: tuple[Operation | None, ...],
        notes: tuple[Hashable, ...],
        claims: Hashable,
        failure: BaseException | None,
    ) -> None:
        self.number, self.before, self.pending, self.failure = number, before, pending, failure
        self.notes, self.claims = notes, claims
        self.after: dict[tuple[int, Answer], Moment] = {}


class Process:
    """A program, and all moments of it that were come upon."""

    def __init__(self, program: Program) -> None:
        self.name, self.clock_rate = program.name, program.clock_rate
        self.moments = 0
        self.runs = 0
        self._program = program
        self._knowing: dict[Hashable, Moment] = {}
        self._context = Context(program.name)
        self._threads: list[greenlet] = []
        self._run_from_start()
        self.start = self._moment(None)

    def after(self, moment: Moment, thread: int, answer: Answer) -> Moment:
        """Where the thread is given the answer to what it asks for at ``moment``."""
        found = moment.after.get((thread, answer))
        if found is None:
            self._go_to(moment)
            self._context.known, self._context.is_replayed = None, False
            self._give(thread, answer)
            self._context.is_replayed = True
            found = moment.after[thread, answer] = self._moment((moment, thread, answer))
        return found

    def _go_to(self, moment: Moment) -> None:
        if self._at is moment:
            return
        steps = []
        at = moment
        while at.before is not None:
            steps.append(at.before)
            at = at.before[0]
        self._run_from_start()
        for before, thread, answer in reversed(steps):
            assert self._pending[thread] == before.pending[thread], f"{self.name} is not the same in each run"
            self._give(thread, answer)
        assert tuple(self._pending) == moment.pending, f"{self.name} is not the same in each run"
        self._at = moment

    def _run_from_start(self) -> None:
        self._leave()
        self.runs += 1
        self._failure: BaseException | None = None
        self._context = Context(self._program.name)
        with chance_of(self._context):
            threads = self._program.threads(self._context)
        self._threads = [greenlet(thread) for thread in threads]
        self._pending: list[Operation | None] = [None] * len(threads)
        for number in range(len(threads)):
            self._resume(number, ())

    def _leave(self) -> None:
        self._context.is_gone = True
        for thread in self._threads:
            if not thread.dead:
                thread.throw(GreenletExit)

    def _give(self, thread: int, answer: Answer) -> None:
        self._resume(thread, (answer,))

    def _resume(self, number: int, given: tuple[Any, ...]) -> None:
        thread = self._threads[number]
        thread.parent = getcurrent()
        with chance_of(self._context):
            try:
                self._pending[number] = thread.switch(*given)
            except Exception as error:
                self._failure, self._pending[number] = error, None

    def _moment(self, before: tuple[Moment, int, Answer] | None) -> Moment:
        context = self._context
        pending, notes, claims = tuple(self._pending), tuple(context.notes), context.claims()
        has_ended = self._failure is None and not any(pending)
        known = (has_ended or context.known, pending, notes, claims)
        if known[0] and known in self._knowing:
            # The run that is under way had other answers, which does not matter: it goes on as that moment's.
            self._at = self._knowing[known]
            return self._at
        self.moments += 1
        self._at = Moment(self.moments, before, pending, notes, claims, self._failure)
        if known[0]:
            self._knowing[known] = self._at
        return self._at


_LOCKS = (type(Lock()), type(RLock()))


def frozen(value: Any) -> Hashable:
    """What ``value`` holds, as a value; locks, functions and the store are left out.

    Raises TypeError where it cannot tell.
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes, enum.Enum)):
        return value
    if isinstance(value, (AskedStore, Context, *_LOCKS)) or isroutine(value):
        return None
    if isinstance(value, Mapping):
        return (dict, frozenset((frozen(key), frozen(kept)) for key, kept in value.items()))
    if isinstance(value, AbstractSet):
        return (set, frozenset(map(frozen, value)))
    if isinstance(value, (list, tuple)):
        return (list, tuple(map(frozen, value)))
    if is_dataclass(value):
        return (type(value), tuple(frozen(getattr(value, field.name)) for field in fields(value)))
    if any(base.__module__.startswith(("lutra.", "support.")) for base in type(value).__mro__):
        return (type(value), frozen(vars(value)))
    raise TypeError(f"what {type(value)} holds is not known")


_drawing: list[Context] = []


@contextlib.contextmanager
def chance_of(context: Context) -> Iterator[None]:
    _drawing.append(context)
    try:
        yield
    finally:
        _drawing.pop()


@contextlib.contextmanager
def without_chance() -> Iterator[None]:
    """Within it, identities that processes draw are the same in each run, and never the same in two of them."""
    hex_before, uuid_before = secrets.token_hex, uuid.uuid4

    def token_hex(size: int = 32) -> str:
        return _drawing[-1].draw(size) if _drawing else hex_before(size)

    def uuid4() -> uuid.UUID:
        return uuid.UUID(hex=_drawing[-1].draw(16)) if _drawing else uuid_before()

    with patch("secrets.token_hex", token_hex), patch("uuid.uuid4", uuid4):
        yield
