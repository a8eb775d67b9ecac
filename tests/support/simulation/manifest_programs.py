"""Writers of one log of manifests, and what must hold whatever order their operations come in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from support.simulation.processes import Context, Program
from support.simulation.world import View

from lutra.model.errors import Fenced, StorageFailure
from lutra.objects.manifest_log import ManifestLog

FOLDER: Final = "log"
TRIES: Final = 3

MakeLog = Callable[[Context], ManifestLog]


def log_of(context: Context) -> ManifestLog:
    return ManifestLog(context.store, FOLDER)


def writer(name: str, *, commits: int, forgets: bool = True, make_log: MakeLog = log_of) -> Program:
    """One that goes on from the newest. Each payload tells all that it goes on from: ``a1 b1 b2``."""

    def run(context: Context) -> None:
        with contextlib.suppress(Fenced, StorageFailure):
            log = make_log(context)
            newest = log.latest()
            number, lineage = (newest.number, newest.payload) if newest else (0, b"")
            for commit in range(1, commits + 1):
                context.knows(commit, number, lineage, log)
                lineage += f" {name}{commit}".encode()
                number = _commit(log, number + 1, lineage)
                context.note("acknowledged", number, lineage)
                if forgets:
                    log.forget(number)

    return Program(name, lambda context: [lambda: run(context)])


def _commit(log: ManifestLog, number: int, payload: bytes) -> int:
    """As its docstring says: where it is not known whether it is there, the same again."""
    for tries_left in reversed(range(TRIES)):
        try:
            return log.commit(number, payload)
        except Fenced:
            raise
        except StorageFailure:
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def one_writer_wins_each_number(view: View) -> None:
    numbers = [number for _, (number, _) in view.noted("acknowledged")]
    assert len(numbers) == len(set(numbers)), f"a number was won twice: {numbers}"


def nothing_acknowledged_is_lost(view: View) -> None:
    """The newest goes on from all that was acknowledged.

    A number that was forgotten may be there again, put by one who had slept: it is never the newest.
    """
    log = ManifestLog(_Still(view), FOLDER)
    newest = log.latest()
    for who, (number, payload) in view.noted("acknowledged"):
        assert newest is not None, f"{payload!r} of {who} was acknowledged, and there is nothing"
        assert newest.number >= number, f"{number} of {who} was acknowledged, and {newest.number} is the newest"
        assert newest.payload.startswith(payload), f"{payload!r} of {who} is lost: {newest.payload!r} counts"


class _Still:
    """The objects of a state, to read."""

    def __init__(self, view: View) -> None:
        self._objects = view.objects

    def get(self, name: str) -> bytes:
        return self._objects[name]

    def list(self, prefix: str) -> list[str]:
        return sorted(name for name in self._objects if name.startswith(f"{prefix}/"))


MANIFEST_INVARIANTS: Final = (one_writer_wins_each_number, nothing_acknowledged_is_lost)
