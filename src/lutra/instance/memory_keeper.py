"""Keeps a process within its memory: looks at what it takes, and moves what can be moved."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lutra.index.builds.builder import ProcessBuilder
from lutra.index.lsm.resources import CACHE_BYTES_MIN, CACHE_SHARE, Resources
from lutra.instance.memory_plan import MemoryPlan
from lutra.instance.process_memory import resident_bytes, resident_of
from lutra.kernels import malloc
from lutra.model.errors import ServerBusy

PERIOD_S: Final = 1.0
STOP_WAIT_S: Final = 5.0
NEAR_SHARE: Final = 0.92
"""Of the limit: where more than that is measured, segments give some back."""
FREE_SHARE: Final = 0.85
"""Where less than that is, they get it again, a part at a time."""
FULL_SHARE: Final = 0.98
"""From here on requests that need memory are refused: they may be tried again in a moment."""
_SHARING_WAIT_S: Final = 5.0
"""Longer than segments take to change on any store that answers."""
_GIVEN_BACK_PART: Final = 4
_LENT_SHARE: Final = 0.75
"""Of what builds have, that segments have while nothing is built."""
_SEGMENTS_SHARE_MIN: Final = 0.25
"""Of what segments are to have: so much is left to them, whatever is measured."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes at one moment."""

    process_bytes: int = 0
    builders_bytes: int = 0

    @property
    def all_bytes(self) -> int:
        return self.process_bytes + self.builders_bytes


class MemoryKeeper:
    """Of one process: a thread that looks once a second, and one that shares out what there is. Thread-safe.

    Codes, graphs and blocks of segments are what gives way: they are read again from disk. With no plan it only shares
    out among segments what these have. A store that does not answer holds up the sharing out, and nothing else.
    """

    def __init__(
        self, resources: Resources, plan: MemoryPlan | None = None, measure: Callable[[], Measured] | None = None
    ) -> None:
        """Starts the threads. ``measure``: in place of what the system tells."""
        self.plan = plan
        self.measured = Measured()
        """What was last found."""
        self._resources = resources
        self._measure = measure or self._look
        self._lock = threading.Lock()  # one look at a time
        self._sharing = threading.Lock()  # one shares out at a time
        self._cut_bytes = 0
        """What segments have less than they should, because of what was measured."""
        self._segments_bytes = 0 if plan is None else plan.segments_bytes
        self._cache_bytes = 0
        """What their cache was last given."""
        self._stopping = threading.Event()
        builder = resources.builder
        if plan is not None and isinstance(builder, ProcessBuilder):
            builder.before_build = lambda: self.look(is_building=True)
        self._threads = [
            threading.Thread(target=self._run, args=(part,), name=name, daemon=True)
            for name, part in (("lutra-memory", self._measured), ("lutra-shares", self._share_out))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_full(self) -> bool:
        """Whether what needs memory is to wait."""
        return self.plan is not None and self.measured.all_bytes > FULL_SHARE * self.plan.limit_bytes

    def require_room(self) -> None:
        """Raises ServerBusy where what needs memory is to wait."""
        if self.is_full:
            raise ServerBusy("Server is busy: it has come to its memory limit, try again.")

    @property
    def segments_bytes(self) -> int:
        """What segments may take at this moment, their cache included."""
        return self._segments_bytes

    def stop(self, wait_s: float = STOP_WAIT_S) -> bool:
        """Ends the threads; a second stop does nothing. False: what is under way, which waits for the store perhaps,
        did not end within ``wait_s``; it ends when the store answers, and does no harm then."""
        self._stopping.set()
        until_s = time.monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def look(self, *, is_building: bool | None = None) -> None:
        """Measures, and sees that all is within the limit. ``is_building``: where somebody knows.

        Where segments are being given other memory already, which a store holds up perhaps, that is waited for a while.
        """
        self._measured(is_building)
        self._share_out()

    def _measured(self, is_building: bool | None = None) -> None:
        if self.plan is not None:
            with self._lock:
                self._fit(self.plan, is_building)

    def _share_out(self) -> None:
        if self._sharing.acquire(timeout=_SHARING_WAIT_S):
            try:
                self._resources.shared.rebalance(self._resources.memory)
            finally:
                self._sharing.release()

    def _fit(self, plan: MemoryPlan, is_building: bool | None) -> None:
        self.measured = measured = self._measure()
        over_bytes = measured.all_bytes - int(NEAR_SHARE * plan.limit_bytes)
        free_bytes = int(FREE_SHARE * plan.limit_bytes) - measured.all_bytes
        if over_bytes > 0:
            self._cut_bytes += over_bytes
            malloc.trim()
        elif free_bytes > 0:
            self._cut_bytes = max(0, self._cut_bytes - max(1, free_bytes // _GIVEN_BACK_PART))
        builds = measured.builders_bytes > 0 if is_building is None else is_building
        wanted = plan.segments_bytes + (0 if builds else int(_LENT_SHARE * plan.builds_bytes))
        least = int(_SEGMENTS_SHARE_MIN * plan.segments_bytes)
        self._cut_bytes = min(self._cut_bytes, wanted - least)
        self._give(wanted - self._cut_bytes)

    def _give(self, segments_bytes: int) -> None:
        """Has segments take so much, their cache included: that is for what their shortest codes leave."""
        cache, memory = self._resources.cache, self._resources.memory
        left_bytes = segments_bytes - self._resources.shared.least_bytes(memory)
        cache_bytes = max(CACHE_BYTES_MIN, min(int(CACHE_SHARE * segments_bytes), left_bytes))
        if cache_bytes != self._cache_bytes:
            try:
                cache.resize(cache_bytes)
            except ServerBusy:  # what is in use does not let it: at the next look
                return
            self._cache_bytes = cache_bytes
        self._segments_bytes = segments_bytes
        memory.total_bytes = max(0, segments_bytes - cache_bytes)

    def _look(self) -> Measured:
        builder = self._resources.builder
        pids = builder.pids if isinstance(builder, ProcessBuilder) else []
        return Measured(resident_bytes(), resident_of(pids))

    def _run(self, part: Callable[[], None]) -> None:
        while not self._stopping.wait(PERIOD_S):
            try:
                part()
            except Exception:
                _log.exception("memory could not be looked after")
