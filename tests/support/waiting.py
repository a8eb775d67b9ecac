"""Waiting for what other threads and processes do, by looking at it."""

from __future__ import annotations

import time
from collections.abc import Callable

WITHIN_S = 60.0


def wait_until(
    condition: Callable[[], bool], within_s: float = WITHIN_S, told: Callable[[], object] | None = None
) -> None:
    """Returns once ``condition()`` is true. Fails where it is not within ``within_s``: with what is ``told`` then."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {condition if told is None else told()}"
        time.sleep(0.005)
