"""Reads that are waited for no longer than there is time: a store far away may not answer for minutes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import Final, TypeVar

from lutra.kernels.daemons import DaemonExecutor
from lutra.model.deadline import current_deadline

_LOOK_S: Final = 0.1
"""Who waits looks so often whether that is still wanted."""
T = TypeVar("T")

_readers = DaemonExecutor("lutra-read")


def _begin_child() -> None:
    """The parent's threads are the parent's."""
    global _readers
    _readers = DaemonExecutor("lutra-read")


os.register_at_fork(after_in_child=_begin_child)


def in_time(read: Callable[[], T]) -> T:
    """What ``read`` returns. Raises what it raises, and RequestTimeout once the time is up; then it ends by itself."""
    deadline = current_deadline()
    if not deadline.is_limited:
        return read()
    reading = _readers.submit(read)
    while not reading.done():
        end_s, is_given_up = deadline.as_native
        left_s = 0.0 if is_given_up[0] else end_s - time.monotonic()
        if left_s <= 0:
            raise deadline.error()
        wait([reading], min(left_s, _LOOK_S))
    return reading.result()
