"""An object store in memory, that calls back before each request: to stall there, or to fail."""

from __future__ import annotations

from collections.abc import Callable

from support.simulation.asked_store import AskedStore
from support.simulation.operations import Answer, Failed, Operation, answer_to, done


class LostAnswer(Exception):
    """Raised by a callback: the request is done, and fails for who made it."""


class LostRequest(Exception):
    """Raised by a callback: the request is not done, and fails for who made it."""


class MemoryStore(AskedStore):
    """One view of objects that others share: with a callback and counters of its own. Not for threads."""

    def __init__(
        self, objects: dict[str, bytes] | None = None, before: Callable[[str, str], None] | None = None
    ) -> None:
        """``before``: called with what is to be done, as ``put``, and the name."""
        super().__init__(self._answered)
        self.objects = {} if objects is None else objects
        self._before = before

    def _answered(self, operation: Operation) -> Answer:
        try:
            if self._before is not None:
                self._before(operation.kind, operation.name)
        except LostRequest:
            return Failed(operation.name)
        except LostAnswer:
            self._take(operation)
            return Failed(operation.name)
        return self._take(operation)

    def _take(self, operation: Operation) -> Answer:
        answer, name = answer_to(operation, self.objects), operation.name
        after = done(operation, self.objects)
        if name in after:
            self.objects[name] = after[name]
        else:
            self.objects.pop(name, None)
        return answer
