"""The least memory in which a peer still works: it is started again and again with less, until it fails.

A process that is started within `limited` may have so much private memory (RLIMIT_DATA, as ``ulimit -d`` sets it: its
heap, its stacks, what it maps without a file), each process of its own; pages of files and shared buffers are not in
it. A peer that can be told what it may take is told the same.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psutil

SHARES: Final = (8.0, 6.0, 4.0, 3.0, 2.0, 1.5, 1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)
"""Of the memory that it has when it may have as much as it likes; allocators reserve more than is touched."""
_LOOK_S: Final = 0.002


@contextmanager
def limited(size_bytes: int) -> Iterator[Callable[[], None]]:
    """Processes that are started from here on, and theirs. What it gives is called once they have been."""
    me, end = psutil.Process(), threading.Event()
    known = {child.pid for child in me.children(recursive=True)}

    def watch() -> None:
        while not end.wait(_LOOK_S):
            for child in me.children(recursive=True):
                if child.pid not in known:
                    known.add(child.pid)
                    with suppress(ProcessLookupError):
                        resource.prlimit(child.pid, resource.RLIMIT_DATA, (size_bytes, size_bytes))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield end.set
    finally:
        end.set()
        thread.join()


def least_mb(resident_mb: float, works: Callable[[int], bool]) -> float | None:
    """The smallest of the shares that ``works`` in MB; None where not even the largest does."""
    least = None
    for share in SHARES:
        size_mb = max(1, round(share * resident_mb))
        if not works(size_mb):
            break
        least = float(size_mb)
    return least
