"""A store that fails at any operation: nothing that was taken in is lost, and nothing wrong is answered."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from support.faulty_store import Effect, Fault, FaultyStore
from support.indexes import PREFIX
from support.lsm import Harness, check
from support.s3_server import S3Server

from lutra.model.errors import LutraError
from lutra.model.rows import PrimaryKey
from lutra.objects.local import LocalStore
from lutra.objects.s3 import S3Store
from lutra.objects.store import ObjectStore

KEYS: Final[list[PrimaryKey]] = [(("user", "a"), ("id", number)) for number in range(12)]


def attempt(step: Callable[[], object]) -> None:
    """What fails is tried once more, or left."""
    for _ in range(2):
        with contextlib.suppress(LutraError):
            step()
            return


def scenario(harness: Harness) -> None:
    """Puts, updates, deletes, flushes, merges, and opening again."""
    for number, key in enumerate(KEYS[:8]):
        harness.put(key, (number, "x", [float(number), 0.0]))
    attempt(harness.index.flush)
    for number, key in enumerate(KEYS[4:]):
        attempt(partial(harness.put, key, (number, "y", None)))
    attempt(partial(harness.delete, KEYS[0]))
    attempt(harness.index.flush)
    attempt(partial(harness.put, KEYS[1], (3, "z", [1.0, 1.0])))
    attempt(harness.index.compact)
    attempt(partial(harness.restart, kill=False))
    attempt(partial(harness.delete, KEYS[2]))
    harness.index.maintain()
    attempt(harness.index.flush)
    attempt(harness.index.compact)


def run(folder: Path, fault: Fault, *, answers: bool, opened: Callable[[], ObjectStore] | None = None) -> bool:
    """Whether the scenario came to the fault.

    ``answers``: whether the index can answer when it is over; ``opened``: opens the store, in place of a local one.
    """
    opened = opened or (lambda: LocalStore(folder / "objects"))
    store = FaultyStore(opened(), [fault])
    harness: Harness | None = None
    with contextlib.suppress(LutraError):
        harness = Harness(folder, store)
        scenario(harness)
    reached = store.operations >= fault.number
    if answers and harness is not None:
        store.heal()
        attempt(lambda: harness.restart(kill=False) if not harness.index.is_open else harness.catch_up())
        check(harness.index.view(), harness.model)
    again = Harness(folder, opened(), before=harness)
    check(again.index.view(), again.model)
    assert again.faults() == []
    again.index.flush()
    again.index.compact()
    again.index.flush()
    again.index.flush()
    check(again.index.view(), again.model)
    assert again.faults() == []
    again.close()
    final = Harness(folder, opened(), before=again)
    final.index.maintain()
    left = final.resources.store.list(PREFIX)
    named = final.index.stats().segments
    assert len([name for name in left if "/segments/" in name]) == len(named), "what nobody names is gone"
    assert len([name for name in left if "/manifest/" in name]) <= 2
    final.close()
    return reached


def run_all(folder: Path, effect: Effect, *, first: int, step: int, lasts: bool) -> None:
    """Around each ``step``-th operation of the scenario."""
    number = first
    while run(folder / str(number), Fault(number, effect, lasts=lasts), answers=not lasts):
        number += step
    assert number > 60


EFFECTS: Final = [Effect.BEFORE, Effect.AFTER, Effect.SHORT, Effect.TRUNCATED, Effect.FLIPPED]


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_operation_fails(effect: Effect, tmp_path: Path) -> None:
    run_all(tmp_path, effect, first=2 + EFFECTS.index(effect), step=29, lasts=False)


def test_everything_fails_from_some_operation_on(tmp_path: Path) -> None:
    """A crash, as far as the store can tell: what the next one finds is good."""
    run_all(tmp_path, Effect.AFTER, first=5, step=17, lasts=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("effect", EFFECTS)
def test_any_operation_fails(effect: Effect, tmp_path: Path) -> None:
    run_all(tmp_path, effect, first=1, step=1, lasts=False)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_fails_from_any_operation_on(tmp_path: Path) -> None:
    run_all(tmp_path, Effect.AFTER, first=1, step=1, lasts=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("effect", EFFECTS)
def test_an_operation_fails_on_s3(effect: Effect, tmp_path: Path, s3_server: S3Server) -> None:
    number = 1 + EFFECTS.index(effect)
    while True:
        place = s3_server.url(f"{effect.value}-{number}")
        opened = partial(S3Store, place, **s3_server.options)
        if not run(tmp_path / str(number), Fault(number, effect), answers=True, opened=opened):
            break
        number += 7
    assert number > 60
