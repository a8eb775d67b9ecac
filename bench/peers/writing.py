"""A process that writes rows at a steady rate, while others search."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.peers.peer import Writer

BATCH_ROWS: Final = 50
_ANSWER_S: Final = 120.0


@dataclass(slots=True)
class Written:
    """``rows_per_s``: while it wrote; known at the end."""

    rows_per_s: float = 0.0
    rows: int = field(default=0)


@contextmanager
def writing(writer: Writer, vectors: Path, first: int, rate: float) -> Iterator[Written]:
    """Writes rows from number ``first`` on within the block. Raises RuntimeError where it cannot.

    The whole of ``vectors`` is written at most.
    """
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, writer, vectors, first, rate), daemon=True)
    process.start()
    there.close()
    written = Written()
    try:
        _receive(here)  # that it is connected
        yield written
        with suppress(OSError):  # it has ended, and has said why
            here.send("stop")
        written.rows, written.rows_per_s = _receive(here)
    finally:
        here.close()
        process.join(timeout=10)
        if process.is_alive():
            process.kill()
            process.join()


def _receive(end: Connection) -> Any:
    try:
        message = end.recv() if end.poll(_ANSWER_S) else RuntimeError("the writer does not answer")
    except EOFError:
        raise RuntimeError("the writer's process ended before its time") from None
    if isinstance(message, RuntimeError):
        raise message
    return message


def _work(parent: Connection, writer: Writer, path: Path, first: int, rate: float) -> None:
    try:
        vectors = np.load(path)
        with writer.connect() as put:
            parent.send(None)
            begin_s, rows = time.monotonic(), 0
            while rows + BATCH_ROWS <= len(vectors):
                if parent.poll(max(0.0, begin_s + rows / rate - time.monotonic())):
                    break
                put(first + rows, vectors[rows : rows + BATCH_ROWS])
                rows += BATCH_ROWS
            parent.send((rows, rows / (time.monotonic() - begin_s)))
    except Exception as error:  # who started this is told, and says it
        parent.send(RuntimeError(f"{type(error).__name__}: {error}"))
