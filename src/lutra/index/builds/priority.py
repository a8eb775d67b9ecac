"""Where a builder's process stands in line for processor and disk."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import os
import platform
import sys
from typing import Final

_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS: Final = 1
_IO_IDLE: Final = 3 << 13
_IO_LEAST: Final = (2 << 13) | 7
"""Of the class of everybody: after all others of it, but not for ever."""
_PASSES_MAX: Final = 8


class Priority(enum.Enum):
    """Niceness above that of the process that builds are for, and the disk's class for it."""

    LAST = (19, _IO_IDLE)
    """What nobody else wants: with both cores full, a 60th part of one."""
    SHARED = (5, _IO_LEAST)
    """A share that others cannot take: with both cores full, a quarter of one."""

    def give(self, pid: int) -> None:
        """To all threads of a process, and so to those that they start.

        Raises PermissionError where the system does not let this process move that one up in line, and
        ProcessLookupError where it is gone.
        """
        niceness, io_class = self.value
        absolute = min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        done: set[int] = set()
        for _ in range(_PASSES_MAX):  # threads may be started meanwhile, by one that has not been reached yet
            threads = _threads(pid) - done
            if not threads:
                return
            for thread in sorted(threads):
                with contextlib.nullcontext() if thread == pid else contextlib.suppress(ProcessLookupError):
                    os.setpriority(os.PRIO_PROCESS, thread, absolute)
                _give_io_class(thread, io_class)
            done |= threads


def _threads(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except OSError:  # no such thing on this system: niceness is the process's
        return {pid}


def _give_io_class(thread: int, io_class: int) -> None:
    """Where the system knows of such a thing, and lets us."""
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).syscall(number, _IOPRIO_WHO_PROCESS, thread, io_class)
