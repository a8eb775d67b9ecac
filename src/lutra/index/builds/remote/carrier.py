"""What takes builds to other machines, as `lutra.index.builds.remote.jobs` asks it to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lutra.index.builds.job import BuildDone, BuildJob


class Carrier(Protocol):
    """One thread uses it. Whatever happens it tells, from any thread, to whom it was made with (`Event`)."""

    def start(self, job: BuildJob, *, is_quick: bool, avoid: str | None) -> None:
        """Hands ``job`` over, known by its output from here on. Returns at once.

        ``is_quick``: it needs little memory, and is not to wait for those that need more. ``avoid``: the machine
        that is taken only where there is no other.
        """

    def cancel(self, output: str) -> None:
        """That job is broken off, or not begun. Returns at once; it may yet put its object."""

    def look(self, now_s: float) -> None:
        """Called about once a second: brings back what carries, where that was lost, and says so."""

    def close(self) -> None:
        """Breaks off everything."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Jobs can be handed over."""


@dataclass(frozen=True, slots=True)
class Unready:
    """No job can be handed over, for the time being; those that were may still be done."""

    why: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The same, and of those that were handed over nothing will be heard any more."""

    why: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A job is being done, on that machine."""

    output: str
    where: str


@dataclass(frozen=True, slots=True)
class Beat:
    """A job is still being done: a phase, rows done and in all, and processor time taken so far."""

    output: str
    phase: str
    done: int
    total: int
    processor_s: float


@dataclass(frozen=True, slots=True)
class Done:
    output: str
    done: BuildDone


@dataclass(frozen=True, slots=True)
class Failed:
    """What the build raised."""

    output: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Died:
    """Whoever did the job ended before it was done, or was never found."""

    output: str
    why: str


Event = Ready | Unready | Gone | Begun | Beat | Done | Failed | Died
