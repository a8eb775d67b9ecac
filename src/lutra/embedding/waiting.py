"""Waiting for a model that works elsewhere, as long as somebody wants what comes of it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Final, TypeVar

from lutra.model.deadline import current_deadline

T = TypeVar("T")
_LOOK_S: Final = 0.1


def pause(seconds: float) -> None:
    """Sleeps so long. Raises RequestTimeout as soon as nobody waits for what comes after."""
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        current_deadline().check()
        time.sleep(min(left_s, _LOOK_S))


def result_of(future: Future[T]) -> T:
    """What comes of a call, or what it raises. Raises RequestTimeout where nobody waits for it any more."""
    deadline = current_deadline()
    while True:
        try:
            return future.result(_LOOK_S)
        except TimeoutError:
            if future.done():  # the call raised it
                raise
            if deadline.is_over:
                future.cancel()
                raise deadline.error() from None
