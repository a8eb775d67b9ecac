"""Client processes, one connection each, that ask for a while together."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from bench.service.usage import Memory, cpu_s, memory

Search = Callable[[npt.NDArray[np.float32]], list[int]]
_CONNECT_S: Final = 120.0
_ANSWER_S: Final = 120.0
_WARM_UP: Final = 10


class Client(Protocol):
    """How a process comes to a connection; it travels to the process."""

    def connect(self) -> AbstractContextManager[Search]:
        """What asks for the numbers of the nearest rows, over one connection."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of one client: ``latencies_ms`` in order; ``found``: query and row numbers."""

    latencies_ms: list[float]
    found: list[tuple[int, list[int]]]
    elapsed_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """Of all clients. ``server_cpu_s``: what it took of the server; ``memory``: of the server, at the end."""

    answers: list[Answers]
    server_cpu_s: float
    memory: Memory

    @property
    def searches(self) -> int:
        return sum(len(one.latencies_ms) for one in self.answers)

    @property
    def per_s(self) -> float:
        return self.searches / max(one.elapsed_s for one in self.answers)

    @property
    def latencies_ms(self) -> npt.NDArray[np.float64]:
        return np.concatenate([one.latencies_ms for one in self.answers])

    @property
    def found(self) -> list[tuple[int, list[int]]]:
        return [found for one in self.answers for found in one.found]


def ask_all(client: Client, queries: npt.NDArray[np.float32]) -> tuple[list[tuple[int, list[int]]], list[float]]:
    """Each query once, over one connection, in this process: what was found, and latencies in ms."""
    found, latencies_ms = [], []
    with client.connect() as search:
        for number, query in enumerate(queries):
            begin_s = time.perf_counter()
            found.append((number, search(query)))
            latencies_ms.append(1e3 * (time.perf_counter() - begin_s))
    return found, latencies_ms


def run(client: Client, queries: Path, connections: int, seconds: float, server_pid: int) -> Run:
    """So many processes ask for so long. Raises RuntimeError where one fails or does not answer in time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([client.__module__])  # so that 32 processes do not import the same at once
    with contextlib.ExitStack() as closing:
        ends = []
        for number in range(connections):
            here, there = context.Pipe()
            arguments = (there, client, queries, number / connections, seconds)
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            closing.callback(_end, process)
            closing.callback(here.close)  # first: who still waits for a word ends by that
            there.close()
            ends.append(here)
        for end in ends:
            _receive(end, _CONNECT_S)  # that it is ready
        before_s = cpu_s(server_pid)
        for end in ends:
            end.send("go")
        answers: list[Answers] = [_receive(end, seconds + _ANSWER_S) for end in ends]
        taken_s = cpu_s(server_pid) - before_s
        held = memory(server_pid)  # with all connections open
        for end in ends:
            end.send("done")
    return Run(answers, taken_s, held)


def _work(parent: Connection, client: Client, path: Path, begin: float, seconds: float) -> None:
    """Connects, says so, asks when it is told to, tells, and leaves when it is told to."""
    try:
        queries = np.load(path)
        with client.connect() as search:
            for query in queries[:_WARM_UP]:
                search(query)
            parent.send(None)
            _listen(parent)
            parent.send(_ask(search, queries, int(begin * len(queries)), seconds))
            _listen(parent)
    except Exception as error:
        told = error if isinstance(error, RuntimeError) else RuntimeError(f"{type(error).__name__}: {error}")
        with contextlib.suppress(OSError):  # another has failed before, and nobody listens any more
            parent.send(told)


def _listen(parent: Connection) -> None:
    """Waits for a word; the process ends where none will come, as another client failed."""
    try:
        parent.recv()
    except EOFError:
        sys.exit(0)


def _ask(search: Search, queries: npt.NDArray[np.float32], at: int, seconds: float) -> Answers:
    latencies_ms: list[float] = []
    found: list[tuple[int, list[int]]] = []
    begin_cpu_s, begin_s = time.process_time(), time.perf_counter()
    now_s = begin_s
    while now_s < begin_s + seconds:
        numbers = search(queries[at])
        answered_s = time.perf_counter()
        latencies_ms.append(1e3 * (answered_s - now_s))
        found.append((at, numbers))
        at = (at + 1) % len(queries)
        now_s = answered_s
    return Answers(latencies_ms, found, now_s - begin_s, time.process_time() - begin_cpu_s)


def _receive(end: Connection, timeout_s: float) -> Any:
    if not end.poll(timeout_s):
        raise RuntimeError(f"a client did not answer within {timeout_s:g} s")
    try:
        message = end.recv()
    except EOFError:
        raise RuntimeError("a client process ended before its time") from None
    if isinstance(message, RuntimeError):
        raise message
    return message


def _end(process: multiprocessing.context.ForkServerProcess) -> None:
    process.join(timeout=10)
    if process.is_alive():
        process.kill()
        process.join()
