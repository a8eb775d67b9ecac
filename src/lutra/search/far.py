"""What waits for a store far away, asked for at once: others are waited for meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextvars import copy_context
from typing import Final, TypeVar

from lutra.kernels.daemons import DaemonExecutor

_AT_ONCE: Final = 32
"""Of all queries together."""
T = TypeVar("T")

_threads = DaemonExecutor("lutra-far", _AT_ONCE)


def _begin_child() -> None:
    """The parent's threads are the parent's."""
    global _threads
    _threads = DaemonExecutor("lutra-far", _AT_ONCE)


os.register_at_fork(after_in_child=_begin_child)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What each returns, in their order; made beside each other, the first by this thread, and over when it returns.

    They must not call this themselves: there are so many threads, and who waits for others takes one. Raises what the
    first of those raises that do.
    """
    asked = [_threads.submit(copy_context().run, call) for call in calls[1:]]
    try:
        found = [call() for call in calls[:1]]
    finally:
        wait(asked)  # what they write into belongs to who called
    return [*found, *(one.result() for one in asked)]
