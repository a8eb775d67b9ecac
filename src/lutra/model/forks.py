"""What is open in a process is that process's alone: a process forked from it may do nothing with it.

A forked process has a copy of all memory and none of the threads. What it writes to a store that its parent has open,
nobody else hears of; what it frees may wait for ever for a thread that is not there. So what is open says which process
it belongs to (`OfProcess`), and what would do harm when it is freed is never freed in a child (`follow`).
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Final, Protocol

from lutra.model.errors import ForkedProcess


class Forkable(Protocol):
    """Hashable, and weakly referenced."""

    def forked(self) -> None:
        """Called in a child process, where it is of no use any more. Brief; waits for nothing."""


class OfProcess:
    """The process that this was made in."""

    __slots__ = ("_forks",)

    def __init__(self) -> None:
        self._forks = _forks

    @property
    def is_this(self) -> bool:
        return self._forks == _forks

    def check(self) -> None:
        """Raises ForkedProcess in a process that was forked from the one it was made in."""
        if self._forks != _forks:
            raise ForkedProcess(REFUSAL)


REFUSAL: Final = (
    "this process was forked from the one that opened the database, which cannot be used here: connect in the child, "
    "to a directory that the parent does not have open"
)

_forks = 0
"""Since the first process."""
_followed: weakref.WeakSet[Forkable] = weakref.WeakSet()


def follow(thing: Forkable) -> None:
    """Has ``thing`` called in every process forked from here on; there it is never freed, nor what it refers to."""
    _followed.add(thing)


def keep_forever(thing: object) -> None:
    """Sees to it that this process never frees ``thing``, nor what it refers to, not even when it ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _begin_child() -> None:
    global _forks
    _forks += 1
    followed = list(_followed)
    _followed.clear()  # a child's own children have heard of it already
    for thing in followed:
        keep_forever(thing)
        thing.forked()


os.register_at_fork(after_in_child=_begin_child)
