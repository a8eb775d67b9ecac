"""When maintenance that failed is tried again, and why it failed."""

from __future__ import annotations

import time
from typing import Final

from lutra.model.pauses import Pauses

_FIRST_S: Final = 0.5
_LAST_S: Final = 10.0
"""After an outage of the store, what waited for it is written out at most so long after."""


class MaintenancePauses(Pauses):
    """Of one index, by ``time.monotonic``."""

    def __init__(self) -> None:
        super().__init__(_FIRST_S, _LAST_S)
        self.failure: str | None = None
        """Why it last failed, until it succeeds."""

    def failed(self, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        self.put_off(time.monotonic())

    def succeeded(self) -> None:
        super().succeeded()
        self.failure = None
