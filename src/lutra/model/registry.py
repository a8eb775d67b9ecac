"""Which module is there for which kind of a thing: each says so itself, so that a new kind is a new module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from lutra.model.errors import ParameterInvalid

K = TypeVar("K")
V = TypeVar("V")


class Registry(Generic[K, V]):
    """What serves each kind. Modules register when they are imported; after that it is only read."""

    def __init__(self, unserved: Callable[[K], str]) -> None:
        """``unserved``: what a client is told of a kind that nothing serves."""
        self._serving: dict[K, V] = {}
        self._unserved = unserved

    def add(self, kind: K, serving: V) -> None:
        """Registers what serves ``kind``, which nothing does yet."""
        assert kind not in self._serving, f"{kind} is served already"
        self._serving[kind] = serving

    def serves(self, kind: K) -> Callable[[V], V]:
        """A decorator of the function that serves ``kind``."""

        def register(serving: V) -> V:
            self.add(kind, serving)
            return serving

        return register

    def of(self, kind: K) -> V:
        """What serves ``kind``. Raises ParameterInvalid where nothing does."""
        serving = self._serving.get(kind)
        if serving is None:
            raise ParameterInvalid(self._unserved(kind))
        return serving
