"""What is asked of a simulated object store, and what it answers: values, so that a run can be told again from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

PUT: Final = "put"
PUT_IF_ABSENT: Final = "put_if_absent"
GET: Final = "get"
LIST: Final = "list"
DELETE: Final = "delete"
CLOCK: Final = "clock"
"""What time it is, by the asking machine's monotonic clock."""
PAUSE: Final = "pause"
"""Nothing is asked: a thread lets others go on."""

WRITES: Final = frozenset({PUT, PUT_IF_ABSENT, DELETE})


class Operation(NamedTuple):
    """``name``: of an object, or of a folder that is listed."""

    kind: str
    name: str = ""
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Missing:
    """The answer that there is no such object."""

    name: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer: the connection was reset, or nothing came in time. The operation may have been done, or may be yet."""

    name: str


Answer = bytes | bool | float | tuple[str, ...] | Missing | Failed | None
Objects = Mapping[str, bytes]
"""By name: all there is on the store."""


def answer_to(operation: Operation, objects: Objects) -> Answer:
    """What the store says; `done` is what it does. Lists see all that is there at that instant, as S3's do."""
    kind, name, _ = operation
    if kind == PUT_IF_ABSENT:
        return name not in objects
    if kind == GET:
        return objects[name] if name in objects else Missing(name)
    if kind == LIST:
        folder = f"{name.rstrip('/')}/" if name else ""
        return tuple(sorted(found for found in objects if found.startswith(folder)))
    return None


def done(operation: Operation, objects: Objects) -> Objects:
    """The objects after it: the same mapping where it changes nothing."""
    kind, name, data = operation
    if (kind == PUT and objects.get(name) != data) or (kind == PUT_IF_ABSENT and name not in objects):
        return {**objects, name: data}
    if kind == DELETE and name in objects:
        return {other: kept for other, kept in objects.items() if other != name}
    return objects
