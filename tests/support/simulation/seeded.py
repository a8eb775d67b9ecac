"""A cluster that lives through what a seed says, in a time of its own: the same seed, the same end.

Nodes with the real control plane and the real storage of indexes, over a simulated store whose answers take time, are
lost, or come though the request was given up. Nodes are killed, stalled, cut off from the store and asked to leave;
clients write and read; builders put segments, and die. Rows are fenced as SlateDB's are.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from greenlet import GreenletExit, getcurrent, greenlet
from support.simulation.lease_programs import cluster_of
from support.simulation.operations import CLOCK, PAUSE, WRITES, Answer, Failed, Objects, Operation, answer_to, done
from support.simulation.processes import Context, chance_of, without_chance
from support.simulation.simulated_node import Builder, NodeProcess

from lutra.model.errors import StorageFailure

EVENTS_MAX: Final = 400_000
"""A run has some 20,000."""
LATENCY_S: Final = (0.002, 0.03)
TIMEOUT_S: Final = 0.5
LATE_S: Final = 8.0
REOPEN_S: Final = 10.0
LEAVE_S: Final = 3.0


@dataclass
class Run:
    """One process of a name. ``stalled_s``: it does nothing before; ``cut_off_s``: nothing it asks arrives before."""

    context: Context
    clock_rate: float
    stalled_s: float = 0.0
    cut_off_s: float = 0.0
    is_dead: bool = False
    threads: list[greenlet] = field(default_factory=list)


class Simulation:
    """Of one seed: `run` lives through it, and checks all along; ``end`` is then a hash of all that there is."""

    def __init__(self, seed: int, *, partitions: int = 3, names: str = "abc", faults: float = 0.01) -> None:
        self.chance = random.Random(seed)
        self.now_s = 100.0
        self.objects: Objects = cluster_of(partitions)
        self.faults = faults
        self.operations = 0
        self.acknowledged: dict[str, set[str]] = {f"p1-{number}": set() for number in range(partitions)}
        self.written: set[str] = set()
        self.counts: dict[str, int] = {}
        self.troubles: Sequence[str] = ("kill", "stall", "cut off", "leave", "restart")
        self._names, self._has_clients = names, True
        self._nodes: dict[str, tuple[Run, NodeProcess]] = {}
        self._runs = itertools.count(1)
        self._rows = itertools.count(1)
        self._order = itertools.count()
        self._events: list[tuple[float, int, Run | None, Callable[[], None]]] = []

    # --- time -----------------------------------------------------------------------------------------------------

    def run(self, seconds: float, quiet_s: float = 35.0) -> None:
        """``seconds`` of trouble, then ``quiet_s`` in which all is to come right. Raises AssertionError."""
        with without_chance():
            for name in self._names:
                self._start(name)
            self._later(0.5, self._clients)
            end_s = self.now_s + seconds
            self._later(self.chance.uniform(2.0, 6.0), lambda: self._trouble(end_s))
            self._live(end_s)
            self._heal()
            self._live(self.now_s + quiet_s)
            self._has_clients = False
            for _, process in self._nodes.values():
                for opened in process.partitions.values():
                    opened.is_broken = True  # what was put too late for its owner is found at the next opening
            self._live(self.now_s + REOPEN_S)
            self._check_end()
            for run, _ in self._nodes.values():
                self._end(run)

    def _later(self, seconds: float, act: Callable[[], None], run: Run | None = None) -> None:
        heapq.heappush(self._events, (self.now_s + seconds, next(self._order), run, act))

    def _live(self, until_s: float) -> None:
        for _ in range(EVENTS_MAX):
            if not self._events or self._events[0][0] > until_s:
                self.now_s = until_s
                return
            time_s, _, run, act = heapq.heappop(self._events)
            self.now_s = time_s
            if run is None or not run.is_dead:
                if run is not None and run.stalled_s > time_s:
                    heapq.heappush(self._events, (run.stalled_s, next(self._order), run, act))
                else:
                    act()
        raise AssertionError("it does not come to an end")

    # --- processes and what they ask ------------------------------------------------------------------------------

    def spawn(self, run: Run, act: Callable[[], None]) -> None:
        """A thread of a process."""

        def body() -> None:
            with contextlib.suppress(GreenletExit):
                act()

        thread = greenlet(body)
        run.threads.append(thread)
        self._later(0.0, lambda: self._resume(run, thread), run)

    def _resume(self, run: Run, thread: greenlet, *given: Answer) -> None:
        thread.parent = getcurrent()
        run.context.time_went_on()
        with chance_of(run.context):
            asked = thread.switch(*given)
            while asked is not None and asked.kind == CLOCK:
                asked = thread.switch(self.now_s * run.clock_rate)
        if asked is None:
            run.threads.remove(thread)
            return
        if asked.kind == PAUSE:
            self._later(float(asked.name or 0.0), lambda: self._resume(run, thread, None), run)
        else:
            self._ask(run, thread, asked)
        self._check_owners()

    def _ask(self, run: Run, thread: greenlet, operation: Operation) -> None:
        """Sends a request, and whatever becomes of it."""
        self.operations += 1
        there_s, back_s = self.chance.uniform(*LATENCY_S), self.chance.uniform(*LATENCY_S)

        def fail() -> None:
            self._resume(run, thread, Failed(operation.name))

        if run.cut_off_s > self.now_s:
            self._later(TIMEOUT_S, fail, run)
        elif self.chance.random() >= self.faults:
            self._later(there_s, lambda: self._answer(run, thread, operation, back_s))
        else:
            fate = self.chance.choice(("request", "answer", "late", "twice")) if operation.kind in WRITES else "answer"
            self._later(TIMEOUT_S, fail, run)
            if fate != "request":
                self._later(there_s, lambda: self._do(operation)) if fate != "late" else None
            if fate in ("late", "twice"):
                self._later(self.chance.uniform(TIMEOUT_S, LATE_S), lambda: self._do(operation))

    def _answer(self, run: Run, thread: greenlet, operation: Operation, back_s: float) -> None:
        answer = answer_to(operation, self.objects)
        self._do(operation)
        self._later(back_s, lambda: self._resume(run, thread, answer), run)

    def _do(self, operation: Operation) -> None:
        self.objects = done(operation, self.objects)

    def _new_run(self, name: str) -> Run:
        return Run(Context(f"{name}{next(self._runs)}"), self.chance.choice((0.99, 1.0, 1.01)))

    def _start(self, name: str) -> None:
        run = self._new_run(name)
        process = NodeProcess(run.context, name, self._builder)
        self._nodes[name] = (run, process)
        for loop in process.loops:
            self.spawn(run, loop)

    def _builder(self, put: Callable[[Context], None]) -> Builder:
        """A process that puts one segment; now and then it dies of it."""
        builder = Builder()
        run = self._new_run("w")

        def build() -> None:
            with contextlib.suppress(StorageFailure):
                put(run.context)
                builder.is_well = True
            builder.is_over = True

        self.spawn(run, build)
        if self.faults and self.chance.random() < 0.1:
            self._later(self.chance.uniform(0.0, 0.05), lambda: self._end(run))
        self._later(5.0, lambda: builder.give_up())
        return builder

    def _end(self, run: Run) -> None:
        run.is_dead = run.context.is_gone = True
        for thread in run.threads:
            if not thread.dead:
                thread.parent = getcurrent()
                thread.throw(GreenletExit)
        run.threads.clear()

    # --- trouble --------------------------------------------------------------------------------------------------

    def _trouble(self, end_s: float) -> None:
        if self.now_s >= end_s:
            return
        name = self.chance.choice(self._names)
        kind = self.chance.choice(self.troubles)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        run, process = self._nodes[name]
        length_s = self.chance.uniform(0.5, 12.0)
        if kind == "stall":
            run.stalled_s = self.now_s + length_s
        elif kind == "cut off":
            run.cut_off_s = self.now_s + length_s
        elif kind == "leave":
            process.controller.leave()
            self._later(length_s + LEAVE_S, lambda: self._start_again(name))
        else:
            self._end(run)
            if kind == "kill":
                self._later(length_s, lambda: self._start(name) if self._nodes[name][0].is_dead else None)
            else:
                self._start(name)
        self._later(self.chance.uniform(1.0, 6.0), lambda: self._trouble(end_s))

    def _start_again(self, name: str) -> None:
        run, process = self._nodes[name]
        if process.controller.has_left and not run.is_dead:
            self._end(run)
            self._start(name)

    def _heal(self) -> None:
        self.faults = 0.0
        for name in self._names:
            run, process = self._nodes[name]
            run.stalled_s = run.cut_off_s = 0.0
            if run.is_dead or process.controller.has_left:
                self._end(run)
                self._start(name)

    # --- clients --------------------------------------------------------------------------------------------------

    def _clients(self) -> None:
        """Some write, some read, wherever they think that the partition is."""
        partition = self.chance.choice(sorted(self.acknowledged))
        holders = [name for name in self._names if partition in self._nodes[name][1].partitions]
        if holders:
            name = self.chance.choice(holders)
            run, process = self._nodes[name]
            if not run.is_dead:
                act = self._write if self.chance.random() < 0.6 else self._read
                self.spawn(run, lambda: act(process, partition))
        if self._has_clients:
            self._later(self.chance.uniform(0.05, 0.4), self._clients)

    def _write(self, process: NodeProcess, partition: str) -> None:
        row = f"r{next(self._rows)}"
        if process.write(partition, row):
            self.acknowledged[partition].add(row)
            self.counts["written"] = self.counts.get("written", 0) + 1

    def _read(self, process: NodeProcess, partition: str) -> None:
        before = set(self.acknowledged[partition])
        found = process.read(partition)
        if found is not None:
            assert before <= found, f"{process.name} does not know {sorted(before - found)} of {partition}"
            self.counts["read"] = self.counts.get("read", 0) + 1

    # --- what must hold -------------------------------------------------------------------------------------------

    def _owners(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, (run, process) in self._nodes.items():
            if not run.is_dead and self.now_s * run.clock_rate < process.sure_until_s:
                for partition in process.partitions:
                    found.setdefault(partition, []).append(name)
        return found

    def _check_owners(self) -> None:
        for partition, names in self._owners().items():
            assert len(names) == 1, f"{partition} is open in {names}"

    def _check_end(self) -> None:
        owners = self._owners()
        for partition, acknowledged in self.acknowledged.items():
            assert partition in owners, f"nobody has {partition}"
            (name,) = owners[partition]
            opened = self._nodes[name][1].partitions[partition]
            rows = opened.rows.rows
            assert acknowledged <= set(rows), f"{sorted(acknowledged - set(rows))} of {partition} is lost"
            assert len(rows) == len(set(rows)), f"a row of {partition} is there twice"
            assert opened.indexed == set(rows), f"{sorted(set(rows) - opened.indexed)} of {partition} is not indexed"
            named = {opened.storage.full(each) for each in opened.storage._named[0] | opened.storage._named[1]}
            there = {each for each in self.objects if each.startswith(f"{opened.storage.prefix}segments/")}
            assert named <= there, f"{sorted(named - there)} is gone"
            assert there == named, f"garbage of {partition}: {sorted(there - named)}"

    @property
    def end(self) -> str:
        """Of all objects."""
        told = "\n".join(f"{name} {self.objects[name].hex()}" for name in sorted(self.objects))
        return hashlib.sha256(told.encode()).hexdigest()
