"""What share of the true neighbours searches find, measured on a small share of them while nobody searches."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, NamedTuple

from lutra.model.errors import LutraError
from lutra.model.forks import OfProcess
from lutra.model.queries import SearchRequest
from lutra.model.recall_estimate import RecallEstimate
from lutra.search.nodes.knn import Sampled
from lutra.search.shadow import neighbours_of

IDLE_S: Final = 0.02
"""So long nobody has searched, before a search is measured."""
PROCESSOR_SHARE: Final = 0.05
"""Of one processor, at most."""
WAITING_MAX: Final = 64
"""Searches that wait to be measured; of more some are left out by chance."""
WINDOW: Final = 1_000
"""Searches of an index that an estimate is of: the last ones."""
INDEXES_MAX: Final = 1_000
"""Of which estimates are kept: the ones that were measured last."""
SAVE_S: Final = 60.0
_PERIOD_S: Final = 0.1
_LOW_PRIORITY: Final = 19

_log = logging.getLogger(__name__)


Told = dict[str, dict[str, float]]
"""`RecallEstimate.as_json` of searches of an index: "unfiltered" and "filtered"."""


class IndexKey(NamedTuple):
    """An index, as whoever searches names it."""

    instance: str
    table: str
    name: str
    partition: str = ""
    """Of a table that is shared out, the partition whose index it is; of others there is one."""


class _Kind(NamedTuple):
    """Searches that are measured together."""

    of: IndexKey
    is_filtered: bool


def searching(recall: RecallSampler | None) -> AbstractContextManager[None]:
    """As `RecallSampler.searching`, where there may be none."""
    return nullcontext() if recall is None else recall.searching()


class RecallSampler:
    """Of one process. Thread-safe. It keeps requests, in memory only, and no longer than until they are measured."""

    def __init__(
        self,
        share: float,
        measure: Callable[[IndexKey, SearchRequest], Sampled | None],
        *,
        save: Callable[[Mapping[IndexKey, Told]], None] = lambda told: None,
        clock_s: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """
        :param share: of searches for neighbours, 0 to 1, that are measured; 0: none is.
        :param measure: how many of the true neighbours a search finds (`lutra.search.shadow.shadow`).
        :param save: is given all that has been measured, once a minute while it changes, and at the end; of an index
            that was forgotten since, nothing.
        """
        self._share = share
        self._measure = measure
        self._save = save
        self._clock_s = clock_s
        self._rng = rng or random.Random()
        self._process = OfProcess()
        self._lock = threading.Lock()
        self._left = self._gap()
        self._searched_s = clock_s()
        self._under_way = 0
        """Searches at this moment."""
        self._waiting: deque[tuple[IndexKey, SearchRequest]] = deque(maxlen=WAITING_MAX)
        self._found: dict[_Kind, deque[float]] = {}
        self._forgotten: dict[IndexKey, None] = {}
        """Since it was saved; the last ones."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lutra-recall", daemon=True)

    def start(self) -> None:
        """Begins to measure."""
        if self._share > 0:
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the search that it measures; a second stop does nothing."""
        self._stopping.set()
        if self._process.is_this:
            if self._thread.is_alive():
                self._thread.join()
            self._save_all()

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Around a search, whatever comes of it: nothing is measured meanwhile, nor right after it."""
        if not self._share:
            yield
            return
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._searched_s = self._clock_s()

    def note(self, of: IndexKey, request: SearchRequest) -> None:
        """A search has found all that it was to find. It is measured some time later, or not."""
        if not self._share:
            return
        with self._lock:
            self._left -= 1
            if self._left > 0 or not neighbours_of(request.query):
                return
            self._left = self._gap()
            if len(self._waiting) == WAITING_MAX:
                del self._waiting[self._rng.randrange(WAITING_MAX)]
            self._waiting.append((of, request))

    def step(self) -> bool:
        """Measures one search where one waits and nobody searches; whether it did."""
        with self._lock:
            is_idle = not self._under_way and self._clock_s() - self._searched_s >= IDLE_S
            if not self._waiting or not is_idle:
                return False
            of, request = self._waiting.popleft()
        try:
            sampled = self._measure(of, request)
        except LutraError as error:  # the index is another one now, or gone, or its store does not answer
            _log.debug("a search of %s was not measured: %s", of.name, type(error).__name__)
            return True
        if sampled is not None:
            is_filtered = any(near.filter is not None for near in neighbours_of(request.query))
            with self._lock:
                self._keep(_Kind(of, is_filtered), sampled.found / sampled.nearest)
        return True

    def forget(self, of: IndexKey) -> None:
        """Of an index that is no more, or that is another one under the same name."""
        with self._lock:
            for kind in [kind for kind in self._found if kind.of == of]:
                del self._found[kind]
            if of not in self._forgotten and len(self._forgotten) >= INDEXES_MAX:
                del self._forgotten[next(iter(self._forgotten))]
            self._forgotten[of] = None

    def forget_partition(self, partition: str) -> None:
        """Of one that is no longer here: what waits to be measured of it, too."""
        with self._lock:
            for kind in [kind for kind in self._found if kind.of.partition == partition]:
                del self._found[kind]
            kept = [each for each in self._waiting if each[0].partition != partition]
            self._waiting.clear()
            self._waiting.extend(kept)

    def measured(self, of: IndexKey, is_filtered: bool) -> RecallEstimate | None:
        """Of the last searches of an index, with a filter or without; None where none has been measured."""
        with self._lock:
            found = self._found.get(_Kind(of, is_filtered))
            return None if found is None else RecallEstimate.of(len(found), sum(found) / len(found))

    def told(self, of: IndexKey) -> Told:
        """What has been measured of an index, fit for JSON: by "unfiltered" and "filtered"."""
        found = {"unfiltered": self.measured(of, False), "filtered": self.measured(of, True)}
        return {name: one.as_json() for name, one in found.items() if one is not None}

    def all_told(self) -> dict[IndexKey, Told]:
        """The same of all indexes of which anything has been measured."""
        with self._lock:
            keys = {kind.of for kind in self._found}
        return {of: self.told(of) for of in sorted(keys)}

    def _save_all(self) -> None:
        with self._lock:
            forgotten, self._forgotten = self._forgotten, {}
        told: dict[IndexKey, Told] = {of: {} for of in forgotten}
        told.update(self.all_told())
        if told:
            self._save(told)

    def _keep(self, kind: _Kind, recall: float) -> None:
        found = self._found.pop(kind, None)
        if found is None:
            found = deque(maxlen=WINDOW)
            if len(self._found) >= INDEXES_MAX:
                del self._found[next(iter(self._found))]
        found.append(recall)
        self._found[kind] = found  # the last of all

    def _gap(self) -> int:
        """Searches until the next that is measured: by chance, so that what comes at regular intervals is met, too."""
        if not self._share:
            return 0
        mean = 1 / self._share
        return max(1, round(self._rng.uniform(0.5 * mean, 1.5 * mean)))

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # where the system lets a thread have a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
        wait_s, saved_s = _PERIOD_S, self._clock_s()
        while not self._stopping.wait(wait_s):
            began_s = time.thread_time()
            try:
                did = self.step()
            except Exception:
                _log.exception("a search could not be measured")
                did = True
            took_s = time.thread_time() - began_s
            wait_s = max(IDLE_S, took_s / PROCESSOR_SHARE) if did else _PERIOD_S
            if did and self._clock_s() - saved_s > SAVE_S:
                saved_s = self._clock_s()
                self._save_all()
