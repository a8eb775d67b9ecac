"""Patience: a row is found within a second or so of its acknowledgement."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 60


def wait_until(condition: Callable[[], object]) -> None:
    """Fails where it does not come true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true"
        time.sleep(0.1)
