"""A builder that builds when it is told to: for tests of what holds meanwhile."""

from __future__ import annotations

from concurrent.futures import Future

from lutra.index.builds.builder import InlineBuilder
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.objects.store import ObjectStore


class SteeredBuilder:
    """A `Builder`. What is submitted while ``is_held`` waits for ``release``; while ``failure`` is set, it fails."""

    def __init__(self, store: ObjectStore) -> None:
        self.is_held = True
        self.failure: Exception | None = None
        self._inline = InlineBuilder(store)
        self._waiting: list[tuple[BuildJob, Future[BuildDone]]] = []

    @property
    def waiting(self) -> int:
        """Jobs."""
        return len(self._waiting)

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        future: Future[BuildDone] = Future()
        self._waiting.append((job, future))
        if not self.is_held:
            self.release()
        return future

    def release(self, count: int | None = None) -> None:
        """Does the first ``count`` that wait; all where None."""
        count = len(self._waiting) if count is None else count
        released, self._waiting = self._waiting[:count], self._waiting[count:]
        for job, future in released:
            if self.failure is not None:
                future.set_exception(self.failure)
                continue
            done = self._inline.submit(job)
            error = done.exception()
            if error is None:
                future.set_result(done.result())
            else:
                future.set_exception(error)

    def cancel(self, output: str) -> None:
        """Too late: as where it is done the moment it is cancelled."""

    def hurry(self, output: str) -> None:
        """Nothing: it is done when it is told to be."""

    def close(self) -> None:
        """Forgets what waits."""
        self._waiting.clear()
