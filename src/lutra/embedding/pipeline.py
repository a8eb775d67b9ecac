"""Vectors of many texts or pictures: some at a time, several calls at once, and whoever is at fault alone.

Items go to the model in batches; a few are under way at once, and no more are taken from where they come until one of
those has ended: memory is bounded, however many there are. What comes out is in the order of what went in, and has an
outcome for each item: a vector, or why there is none. A batch that fails is halved until the item that the model
cannot do is alone. A model that does nothing at all any more ends it: `ModelUnusable`, `EmbeddingBusy`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import (
    Batching,
    Embedder,
    EmbeddingBusy,
    EmbeddingError,
    ModelUnusable,
    batching_of,
)
from lutra.embedding.waiting import result_of
from lutra.kernels.daemons import DaemonExecutor
from lutra.model.deadline import current_deadline, working_for
from lutra.model.errors import LutraError, RequestTimeout

K = TypeVar("K")
Item = str | bytes
Vector = npt.NDArray[np.float32]
Embed = Callable[[Sequence[Any]], Vector]
"""Of a model: its ``embed``, or ``embed_texts``."""

_ATTEMPTS_MAX: Final = 6
_FIRST_PAUSE_S: Final = 1.0
_PAUSE_S_MAX: Final = 60.0
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Embedded(Generic[K]):
    """What became of an item: one of ``vector``, float32 [dimension], and ``error`` is None."""

    key: K
    vector: Vector | None
    error: EmbeddingError | None


class Pipeline:
    """Runs a model over many items. One `run` at a time; made anew it costs nothing.

    ``embed`` is what is called, with so many items at once as ``batching`` says: the model's own, where it is not
    given. ``attempts_max``: so often a batch is tried where the model is busy, with pauses that grow, or as long as it
    asks for; all calls pause together.
    """

    def __init__(
        self,
        embedder: Embedder,
        embed: Embed | None = None,
        *,
        batching: Batching | None = None,
        attempts_max: int = _ATTEMPTS_MAX,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._name = embedder.name
        self._dimension = embedder.dimension
        self._embed: Embed = embedder.embed if embed is None else embed
        self._batching = batching_of(embedder) if batching is None else batching
        self._attempts_max = attempts_max
        self._first_pause_s = first_pause_s
        self._stopped = threading.Event()
        self._rest_until_s = 0.0

    def run(
        self, items: Iterable[tuple[K, Item]], progress: Callable[[int], object] | None = None
    ) -> Iterator[Embedded[K]]:
        """The outcome of each item, in order. ``progress`` is called with how many there are, now and then.

        Raises ModelUnusable and EmbeddingBusy where the model gives nothing any more, whatever ``items`` raises, and
        RequestTimeout where nobody waits any more: what came out before is right.
        """
        threads = self._batching.threads
        executor = DaemonExecutor("lutra-embed", threads)
        under_way: deque[tuple[list[K], Future[list[Vector | EmbeddingError]]]] = deque()
        deadline, done = current_deadline(), 0
        self._stopped.clear()

        def call(batch: list[Item]) -> list[Vector | EmbeddingError]:
            with working_for(deadline):
                return self._outcomes(batch)

        def ended() -> Iterator[Embedded[K]]:
            nonlocal done
            keys, future = under_way.popleft()
            outcomes: list[Vector | EmbeddingError] = result_of(future)
            for key, outcome in zip(keys, outcomes, strict=True):
                if isinstance(outcome, EmbeddingError):
                    yield Embedded(key, None, outcome)
                else:
                    yield Embedded(key, outcome, None)
            done += len(keys)
            if progress is not None:
                progress(done)

        try:
            for keys, batch in self._batches(items):
                if len(under_way) > threads:  # one waits beside those that run
                    yield from ended()
                under_way.append((keys, executor.submit(call, batch)))
            while under_way:
                yield from ended()
        finally:
            self._stopped.set()
            executor.shutdown(wait=False, cancel_futures=True)

    def _batches(self, items: Iterable[tuple[K, Item]]) -> Iterator[tuple[list[K], list[Item]]]:
        keys, batch, size = list[K](), list[Item](), 0
        for key, item in items:
            if batch and (len(batch) == self._batching.items or size + len(item) > self._batching.size):
                yield keys, batch
                keys, batch, size = [], [], 0
            keys.append(key)
            batch.append(item)
            size += len(item)
        if batch:
            yield keys, batch

    def _outcomes(self, batch: Sequence[Item]) -> list[Vector | EmbeddingError]:
        """Raises ModelUnusable, EmbeddingBusy, RequestTimeout."""
        try:
            vectors = self._patient(batch)
        except (ModelUnusable, EmbeddingBusy):
            raise
        except EmbeddingError as error:
            if len(batch) == 1:
                return [error]
            half = len(batch) // 2
            return [*self._outcomes(batch[:half]), *self._outcomes(batch[half:])]
        no_numbers = EmbeddingError(f"the model {self._name!r} gave numbers that are not finite")
        return [vector if np.isfinite(vector).all() else no_numbers for vector in vectors]

    def _patient(self, batch: Sequence[Item]) -> Vector:
        """Tried again while the model is busy."""
        pause_s = self._first_pause_s
        for attempt in range(1, self._attempts_max + 1):
            self._rest()
            try:
                return called(self._name, self._dimension, self._embed, batch)
            except EmbeddingBusy as error:
                if attempt == self._attempts_max or self._stopped.is_set():
                    raise
                asked_s = pause_s if error.pause_s is None else error.pause_s
                self._rest_until_s = time.monotonic() + min(asked_s, _PAUSE_S_MAX)
                pause_s *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _rest(self) -> None:
        """While the model asked to be left alone: by this thread's call or another's."""
        while (left_s := self._rest_until_s - time.monotonic()) > 0:
            current_deadline().check()
            if self._stopped.wait(min(left_s, _LOOK_S)):
                raise EmbeddingBusy(f"the model {self._name!r} was given up")


def called(name: str, dimension: int, embed: Embed, items: Sequence[Item]) -> Vector:
    """float32 [len(items), dimension], finite or not: what a model gives, whatever it does.

    Raises EmbeddingError, also for what the model raises of its own, ModelUnusable for vectors of another shape, and
    RequestTimeout.
    """
    try:
        vectors = np.asarray(embed(items), dtype=np.float32)
    except (EmbeddingError, RequestTimeout):
        raise
    except LutraError as error:
        raise EmbeddingError(str(error)) from error
    except Exception as error:  # models raise what they raise
        raise EmbeddingError(f"the model {name!r} failed: {type(error).__name__}: {error}") from error
    if vectors.shape != (len(items), dimension):
        raise ModelUnusable(
            f"the model {name!r} gave an array of shape {list(vectors.shape)}, not [{len(items)}, {dimension}]"
        )
    return vectors
