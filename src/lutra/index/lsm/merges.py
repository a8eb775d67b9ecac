"""The builds that are under way for one index."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from copy import copy
from dataclasses import dataclass, replace
from typing import Final

from lutra.index.builds.builder import QUICK_BYTES, InlineBuilder
from lutra.index.builds.job import BuildDone, BuildInput, BuildJob
from lutra.index.builds.policy import BUILD_BYTES_MIN
from lutra.index.lsm.open_segment import OpenSegment
from lutra.index.lsm.orphans import Orphans
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import IndexSchema
from lutra.model.pauses import Pauses

_MERGES_MAX: Final = 2
"""Beside a large one a small one: buffers must not wait for what takes minutes."""
_MEMORY_FACTOR_STEP: Final = 1.5
"""A build that runs out of memory is given so much more the next time, up to what any may take."""
_RETRY_FIRST_S: Final = 1.0
_RETRY_LAST_S: Final = 300.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Merge:
    """Builds ``output`` of what lives in ``inputs``: of each, the documents of its ``bases`` ."""

    output: str
    inputs: tuple[OpenSegment, ...]
    bases: tuple[RowMask, ...]
    needs: frozenset[str]
    """Objects that are not to be deleted meanwhile."""
    future: Future[BuildDone]
    need_bytes: int
    """Of memory, as it was thought."""
    memory_bytes: int
    """What it may take."""

    @property
    def is_large(self) -> bool:
        """More than what `lutra.index.builds.builder.QUICK_BYTES` is for."""
        return self.memory_bytes > QUICK_BYTES


class Merges:
    """Its owner sees to it that one thread at a time uses it; ``cancel`` and ``any_done`` may be used by any."""

    def __init__(
        self, storage: IndexStorage, schema: IndexSchema, resources: Resources, on_done: Callable[[], None]
    ) -> None:
        """``on_done`` is called, from any thread, when a build has come to its end."""
        self.policy = resources.policy
        """Of what may be built: less where builds turned out to need more than they may take."""
        self.refused: str | None = None
        """What is not built any more for want of memory, until the index is opened again; None: nothing."""
        self.failure: Exception | None = None
        """Why the last build failed, until one succeeds. To look at: who raises it raises a copy, or it would grow."""
        self.orphans = Orphans(storage, resources.policy)
        self._storage = storage
        self._schema = schema
        self._resources = resources
        self._inline = InlineBuilder(resources.store)
        self._on_done = on_done
        self._running: dict[str, Merge] = {}
        self._pauses = Pauses(_RETRY_FIRST_S, _RETRY_LAST_S)
        self._memory_factor = 1.0

    @property
    def any_done(self) -> bool:
        return any(merge.future.done() for merge in list(self._running.values()))

    def is_retry_due(self, now_s: float) -> bool:
        """Whether a build failed and it is time to try again."""
        return self.failure is not None and self._pauses.is_over(now_s)

    @property
    def futures(self) -> list[Future[BuildDone]]:
        return [merge.future for merge in self._running.values()]

    @property
    def busy(self) -> set[str]:
        """The segments that are being merged."""
        return {segment.name for merge in self._running.values() for segment in merge.inputs}

    @property
    def needed(self) -> set[str]:
        """Objects that builds under way read or write."""
        return set().union(*({merge.output, *merge.needs} for merge in self._running.values()))

    def begin(self, candidates: Sequence[OpenSegment]) -> None:
        """Begins what the policy says of ``candidates``, which are as the last manifest names them.

        Raises StorageFailure where the builder is closed.
        """
        if self.failure is not None and not self._pauses.is_over(time.monotonic()):
            return
        while len(self._running) < _MERGES_MAX:
            busy = self.busy
            free = {segment.name: segment for segment in candidates if segment.name not in busy}
            bytes_max = QUICK_BYTES if any(merge.is_large for merge in self._running.values()) else None
            chosen = self.policy.choose_merge([segment.shape for segment in free.values()], bytes_max)
            if not chosen:
                return
            self._begin([free[shape.name] for shape in chosen])

    def _begin(self, inputs: Sequence[OpenSegment]) -> None:
        storage, resources = self._storage, self._resources
        shapes = [segment.shape for segment in inputs]
        output = storage.new_segment()
        need_bytes = self.policy.build_need_bytes(shapes)
        job = BuildJob(
            store=resources.address,
            inputs=tuple(
                BuildInput(storage.full(s.name), None if s.deletions is None else storage.full(s.deletions))
                for s in inputs
            ),
            output=storage.full(output),
            schema=self._schema,
            scratch=str(resources.scratch),
            memory_bytes=min(
                int(self._memory_factor * max(BUILD_BYTES_MIN, need_bytes)), resources.policy.build_memory_bytes
            ),
            build_memory_bytes=resources.policy.build_memory_bytes,
        )
        storage.discard(output)  # unless a manifest comes to name it
        builder = self._inline if resources.policy.is_small(shapes) else resources.builder
        future = builder.submit(job)
        names = {s.name for s in inputs} | {s.deletions for s in inputs if s.deletions is not None}
        bases = tuple(segment.committed for segment in inputs)
        self._running[output] = Merge(
            output, tuple(inputs), bases, frozenset(names), future, need_bytes, job.memory_bytes
        )
        future.add_done_callback(lambda _: self._on_done())

    def keep_up(self, waiting_buffers: int, segments: Sequence[OpenSegment]) -> None:
        """Where builds fall behind, all that is under way is waited for. ``segments``: those there are."""
        busy, policy = self.busy, self.policy
        free = [segment.shape for segment in segments if segment.name not in busy and segment.is_in_manifest]
        not_full = sum(not policy.is_full(segment.shape) for segment in segments)
        if policy.is_behind(waiting_buffers, not_full, free):
            for merge in self._running.values():
                self._resources.builder.hurry(self._storage.full(merge.output))

    def take_done(self) -> list[tuple[Merge, BuildDone]]:
        """Those that have come to their end, well; of the others ``failure`` tells.

        They count as running until ``forget``.
        """
        done = []
        for merge in [merge for merge in self._running.values() if merge.future.done()]:
            try:
                done.append((merge, merge.future.result()))
            except CancelledError:  # before it was begun
                self.forget(merge)
            except Exception as error:
                self.failed(merge, error)
        return done

    def failed(self, merge: Merge, error: Exception) -> None:
        """It is given up, and what it was for tried again later, longer apart each time."""
        self.forget(merge)
        self.orphans.expect()
        self.failure = copy(error)  # without a traceback, whose frames hold segments
        if isinstance(error, MemoryError):  # what a build needs is an estimate
            self._wants_more(merge)
        self._pauses.put_off(time.monotonic())

    def _wants_more(self, merge: Merge) -> None:
        """The next build is given more; where that one had all that any may take, nothing as large is begun again."""
        if merge.memory_bytes < self._resources.policy.build_memory_bytes:
            self._memory_factor *= _MEMORY_FACTOR_STEP
            return
        self._memory_factor = 1.0
        self.policy = replace(self.policy, build_memory_bytes=min(self.policy.build_memory_bytes, merge.need_bytes - 1))
        rows, limit_mb = sum(segment.shape.live for segment in merge.inputs), merge.memory_bytes >> 20
        self.failure = None
        self.refused = f"a build of {rows:,} rows needs more than the {limit_mb:,} MB that a build may take"
        _log.warning("%s: %s, so segments stay smaller", self._storage.prefix, self.refused)

    def forget(self, merge: Merge) -> None:
        """It is dealt with."""
        del self._running[merge.output]

    def succeeded(self, merge: Merge, done: BuildDone) -> None:
        """A build has been taken in."""
        self.forget(merge)
        if self._storage.own(done.shape.name) != merge.output:  # not the first attempt at it
            self.orphans.expect()
        self.failure = None
        self._pauses.succeeded()

    def retry(self) -> None:
        """What failed is tried again at once."""
        self.failure = None
        self._pauses.end()

    def cancel(self) -> None:
        """Breaks off all that is under way."""
        for merge in list(self._running.values()):
            self._resources.builder.cancel(self._storage.full(merge.output))
