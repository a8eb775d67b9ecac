"""A few threads for work that waits: for disks, and for stores far away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lutra.kernels.daemons import DaemonExecutor

Job = TypeVar("Job")

AT_ONCE: Final = 4
"""Each has a chunk in memory."""


def for_each(jobs: Sequence[Job], work: Callable[[Job], None]) -> None:
    """Does all of ``jobs``, some at once, begun in their order; what one of them raises ends it."""
    left = iter(jobs)  # which the threads share
    is_over = threading.Event()

    def go_on() -> None:
        try:
            for job in left:
                if is_over.is_set():
                    return
                work(job)
        except BaseException:
            is_over.set()
            raise

    with DaemonExecutor("lutra-backup", AT_ONCE) as threads:
        try:
            for done in [threads.submit(go_on) for _ in range(min(AT_ONCE, len(jobs)))]:
                done.result()
        finally:
            is_over.set()
