"""Deletes what is hidden, little by little."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from lutra.kv.slatedb.hidden import HiddenRange
from lutra.kv.slatedb.reads import SlateReads

KEYS_AT_ONCE: Final = 500


class Sweep:
    """Of one range. ``delete`` deletes keys, not yet durably, and the record of the range where that is said."""

    def __init__(self, hidden: HiddenRange) -> None:
        self.hidden = hidden
        self._at = hidden.begin

    def step(self, reads: SlateReads, delete: Callable[[list[bytes]], None]) -> bool:
        """Deletes the next keys; nobody else may write meanwhile. True when none are left. Raises as ``reads``."""
        rows = list(islice(reads.stored(self._at, self.hidden.end), KEYS_AT_ONCE))
        doomed = [key for key, _, sequence in rows if self.hidden.hides(key, sequence)]
        if doomed:
            delete(doomed)
        if len(rows) < KEYS_AT_ONCE:
            return True
        self._at = rows[-1][0] + b"\0"
        return False
