"""Undoing what an interrupt may break off at any instant.

Ctrl-C, and whatever else raises in a thread from outside, comes between any two steps: also between taking a lock and
the ``try`` that would release it, and in the middle of a ``finally``. So what is to be undone has an owner, undoing
asks who that is, and it may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def surely(work: Callable[[], T], undo: Callable[[], None]) -> T:
    """Does ``work`` and then ``undo``, whatever comes between; ``undo`` again where it was itself interrupted."""
    try:
        try:
            return work()
        finally:
            undo()
    except BaseException:
        undo()
        raise
