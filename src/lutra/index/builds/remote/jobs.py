"""Builds that are done elsewhere: handed over, watched, handed over again. Decisions without threads or clocks."""

from __future__ import annotations

import enum
import logging
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from lutra.index.builds.builder import QUICK_BYTES, Builder
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.index.builds.remote.carrier import Beat, Begun, Carrier, Died, Done, Event, Failed, Gone, Ready, Unready
from lutra.model.errors import StorageFailure

_WORK_S: Final = 0.1
"""Less processor time is no progress: who waits wakes now and then, too."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what; the defaults are what production runs with."""

    stall_s: float = 120.0
    """A build that shows no progress for so long is broken off and begun elsewhere. One that shows some never is."""
    unreachable_s: float = 30.0
    """Where no job could be handed over for so long, quick ones are built here, and the others given up for now."""
    queue_s: float = 60.0
    """A quick build that was handed over and not begun for so long is built here: a buffer waits for it. Until one is
    begun elsewhere again, one at a time is handed over, and the others are built here at once."""
    hurried_queue_s: float = 10.0
    """The same of one that is waited for."""
    attempts_max: int = 3
    """So often a build is begun elsewhere, before it is given up for now."""


class State(enum.Enum):
    """Of a job."""

    WAITING = "waiting"
    """Nobody has it."""
    QUEUED = "queued"
    """It was handed over."""
    RUNNING = "running"
    """Somebody does it."""
    LOCAL = "local"
    """It is built on this machine, as it could not be elsewhere."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A job with what is known of it. ``attempt`` is the job as it was last handed over."""

    job: BuildJob
    on_progress: Progress | None
    future: Future[BuildDone]
    since_s: float
    attempt: BuildJob
    state: State = State.WAITING
    attempts: int = 0
    """So many were begun and lost."""
    names: int = 0
    """So many outputs were given to attempts."""
    where: str | None = None
    seen: tuple[str, int, float] = ("", 0, 0.0)
    is_hurried: bool = False
    waited_s: float = field(default=0.0)
    """Since when it was not begun, wherever it waited."""

    @property
    def is_quick(self) -> bool:
        return self.job.memory_bytes <= QUICK_BYTES


@dataclass(frozen=True, slots=True)
class RemoteState:
    """Of a moment, in numbers. Since the start: ``done`` builds elsewhere, ``lost`` attempts, ``local`` builds here."""

    reachable: bool
    why: str
    waiting: int
    queued: int
    running: int
    done: int = 0
    lost: int = 0
    local: int = 0


class RemoteJobs:
    """One thread uses it. Each attempt at a job has an output of its own (design note 0037)."""

    def __init__(self, carrier: Carrier, local: Builder, patience: Patience | None = None) -> None:
        """``local`` does what cannot be done elsewhere."""
        self._carrier = carrier
        self._local = local
        self._patience = patience or Patience()
        self._tickets: list[Ticket] = []
        self._by_attempt: dict[str, Ticket] = {}
        self._is_ready = False
        self._is_crowded = False
        """A quick build was not begun in time, and none has been begun since."""
        self._unready_since_s: float | None = None
        self._why = "it is being started"
        self._done = self._lost = self._locals = 0

    @property
    def state(self) -> RemoteState:
        states = [ticket.state for ticket in self._tickets]
        return RemoteState(
            reachable=self._is_ready,
            why="" if self._is_ready else self._why,
            waiting=states.count(State.WAITING),
            queued=states.count(State.QUEUED),
            running=states.count(State.RUNNING),
            done=self._done,
            lost=self._lost,
            local=self._locals,
        )

    # --- what the index asks ----------------------------------------------------------------------------------------

    def submit(self, job: BuildJob, on_progress: Progress | None, future: Future[BuildDone], now_s: float) -> None:
        """As `Builder.submit`."""
        if not self._is_ready and self._unready_since_s is None:
            self._unready_since_s = now_s
        self._tickets.append(Ticket(job, on_progress, future, now_s, job, waited_s=now_s))
        self._hand_over(now_s)
        self._look_at_waiting(now_s)

    def cancel(self, output: str) -> None:
        """As `Builder.cancel`."""
        for ticket in [ticket for ticket in self._tickets if ticket.job.output == output]:
            self._break_off(ticket)
            self._fail(ticket, StorageFailure(f"the build of {output!r} is not wanted any more"))

    def hurry(self, output: str) -> None:
        """As `Builder.hurry`."""
        for ticket in self._tickets:
            if ticket.job.output == output and not ticket.is_hurried:
                ticket.is_hurried = True
                if ticket.state is State.LOCAL:
                    self._local.hurry(ticket.attempt.output)

    def close(self) -> None:
        """Breaks off all that is under way."""
        for ticket in list(self._tickets):
            self._break_off(ticket)
            self._fail(ticket, StorageFailure("the builder is closed"))

    # --- what the carrier tells -------------------------------------------------------------------------------------

    def told(self, event: Event, now_s: float) -> None:
        """What is told of an attempt that was given up meanwhile is not heard."""
        if isinstance(event, Ready | Unready | Gone):
            self._told_of_carrier(event, now_s)
            return
        ticket = self._by_attempt.get(event.output)
        if ticket is None or ticket.state is State.LOCAL:
            return
        match event:
            case Begun(where=where):
                ticket.state, ticket.where, ticket.since_s = State.RUNNING, where, now_s
                self._is_crowded = self._is_crowded and not ticket.is_quick
            case Beat():
                self._beat(ticket, event, now_s)
            case Done(done=done):
                self._done += 1
                self._end(ticket)
                _settle(ticket.future, done)
            case Failed(error=error) if isinstance(error, StorageFailure):  # of that machine, perhaps
                self._lose(ticket, str(error), now_s)
            case Failed(error=error):
                self._fail(ticket, error)
            case Died(why=why):
                self._lose(ticket, why, now_s)

    def _told_of_carrier(self, event: Ready | Unready | Gone, now_s: float) -> None:
        was_ready, self._is_ready = self._is_ready, isinstance(event, Ready)
        if isinstance(event, Ready):
            self._unready_since_s = None
        else:
            self._why = event.why
            if was_ready or self._unready_since_s is None:
                self._unready_since_s = now_s
            if was_ready:
                _log.warning("builds cannot be handed over: %s", event.why)
        if isinstance(event, Gone):
            for ticket in list(self._by_attempt.values()):
                if ticket.state is State.RUNNING:
                    self._lose(ticket, event.why, now_s)
                elif ticket.state is State.QUEUED:
                    self._take_back(ticket)
        self._hand_over(now_s)

    def _beat(self, ticket: Ticket, beat: Beat, now_s: float) -> None:
        phase, done, processor_s = ticket.seen
        is_further = (beat.phase, beat.done) != (phase, done)
        if is_further and ticket.on_progress is not None:
            ticket.on_progress(beat.phase, beat.done, beat.total)
        if is_further or beat.processor_s - processor_s >= _WORK_S:
            ticket.seen, ticket.since_s = (beat.phase, beat.done, beat.processor_s), now_s

    # --- as time goes by --------------------------------------------------------------------------------------------

    def step(self, now_s: float) -> None:
        """What is due by now. To be called about once a second."""
        self._carrier.look(now_s)
        self._hand_over(now_s)
        for ticket in [ticket for ticket in self._tickets if ticket.state is State.RUNNING]:
            if now_s - ticket.since_s >= self._patience.stall_s:
                self._carrier.cancel(ticket.attempt.output)
                self._lose(ticket, f"it showed no progress for {self._patience.stall_s:.0f} s", now_s)
        self._look_at_waiting(now_s)

    def _look_at_waiting(self, now_s: float) -> None:
        """What is not begun for too long is done otherwise."""
        patience, since_s = self._patience, self._unready_since_s
        is_unreachable = since_s is not None and now_s - since_s >= patience.unreachable_s
        for ticket in [ticket for ticket in self._tickets if ticket.state in (State.WAITING, State.QUEUED)]:
            if ticket.state is State.WAITING and is_unreachable:
                if ticket.is_quick:
                    self._build_here(ticket)
                else:
                    self._fail(ticket, StorageFailure(f"a build could not be handed over: {self._why}"))
            elif ticket.is_quick:
                limit_s = patience.hurried_queue_s if ticket.is_hurried else patience.queue_s
                if ticket.state is State.QUEUED and now_s - ticket.waited_s >= limit_s:
                    self._is_crowded = True
                    self._build_here(ticket)

    def _hand_over(self, now_s: float) -> None:
        if not self._is_ready:
            return
        for ticket in [ticket for ticket in self._tickets if ticket.state is State.WAITING]:
            if ticket.is_quick and self._is_crowded and self._has_quick_queued:
                self._build_here(ticket)
                continue
            self._next_attempt(ticket)
            ticket.state, ticket.since_s = State.QUEUED, now_s
            self._carrier.start(ticket.attempt, is_quick=ticket.is_quick, avoid=ticket.where)

    @property
    def _has_quick_queued(self) -> bool:
        return any(ticket.is_quick and ticket.state is State.QUEUED for ticket in self._tickets)

    def _next_attempt(self, ticket: Ticket) -> None:
        """An output of its own: the attempts before may still be at theirs."""
        job = ticket.job
        before = tuple(_output(job, number) for number in range(ticket.names))
        ticket.attempt = replace(job, output=_output(job, ticket.names), earlier=(*job.earlier, *before))
        ticket.names += 1
        ticket.seen = ("", 0, 0.0)
        self._by_attempt[ticket.attempt.output] = ticket

    def _lose(self, ticket: Ticket, why: str, now_s: float) -> None:
        """An attempt came to nothing, as far as is known."""
        self._lost += 1
        ticket.attempts += 1
        output = ticket.attempt.output
        if ticket.attempts >= self._patience.attempts_max:
            _log.warning("the build of %s is given up for now, after %d attempts: %s", output, ticket.attempts, why)
            self._fail(ticket, StorageFailure(f"a build was lost {ticket.attempts} times, at last as {why}"))
            return
        _log.info("the build of %s is begun again: %s", output, why)
        self._take_back(ticket)
        ticket.waited_s = now_s
        self._hand_over(now_s)

    def _take_back(self, ticket: Ticket) -> None:
        self._by_attempt.pop(ticket.attempt.output, None)
        ticket.state = State.WAITING

    def _build_here(self, ticket: Ticket) -> None:
        if ticket.state is State.QUEUED:
            self._carrier.cancel(ticket.attempt.output)
            self._by_attempt.pop(ticket.attempt.output, None)
        self._next_attempt(ticket)
        ticket.state = State.LOCAL
        self._locals += 1
        try:
            future = self._local.submit(ticket.attempt, ticket.on_progress)
        except StorageFailure as error:
            self._fail(ticket, error)
            return
        if ticket.is_hurried:
            self._local.hurry(ticket.attempt.output)
        future.add_done_callback(lambda done: _copy(done, ticket.future))

    # --- the end of a job -------------------------------------------------------------------------------------------

    def forget_done(self) -> None:
        """Of jobs that were done here."""
        for ticket in [ticket for ticket in self._tickets if ticket.future.done()]:
            self._end(ticket)

    def _break_off(self, ticket: Ticket) -> None:
        if ticket.state is State.LOCAL:
            self._local.cancel(ticket.attempt.output)
        elif ticket.state is not State.WAITING:
            self._carrier.cancel(ticket.attempt.output)

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        self._end(ticket)
        _settle(ticket.future, error)

    def _end(self, ticket: Ticket) -> None:
        self._by_attempt.pop(ticket.attempt.output, None)
        self._tickets.remove(ticket)


def _output(job: BuildJob, number: int) -> str:
    return f"{job.output}-{number}" if number else job.output


def _copy(done: Future[BuildDone], future: Future[BuildDone]) -> None:
    if done.cancelled():
        _settle(future, StorageFailure("the builder is closed"))
        return
    error = done.exception()
    _settle(future, done.result() if error is None else error)


def _settle(future: Future[BuildDone], outcome: BuildDone | BaseException) -> None:
    with suppress(InvalidStateError):  # it was broken off in the same moment
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
