"""A running engine whose objects fail: writes are acknowledged all the same, and what is answered is right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import EAGER, IndexedTable, open_engine, unnamed
from support.faulty_store import Effect, Fault, FaultyStore

from lutra.index.lsm.resources import Resources
from lutra.instance.fsck import check_directory
from lutra.objects.local import LocalStore

Wrapped = Callable[[Resources], Resources]
KEYS = 200


def run(folder: Path, faulty: Callable[[LocalStore], FaultyStore], *, seed: int, batches: int) -> FaultyStore:
    """Writes and searches over a store that fails, until it is healed, and then once more over a whole one."""
    kept: list[FaultyStore] = []

    def wrapped(resources: Resources) -> Resources:
        assert isinstance(resources.store, LocalStore)
        kept.append(faulty(resources.store))
        return replace(resources, store=kept[0])

    rng = random.Random(seed)
    engine = open_engine(folder, wrapped=wrapped)
    (store,) = kept
    try:
        table = IndexedTable(engine)
        for _ in range(batches):
            table.write(rng, 40, KEYS)
            table.check_while_failing()
        store.heal()
        table.wait()
        table.check()
        table.settle()
        table.check()
    finally:
        engine.close()
    assert check_directory(folder) == []
    engine = open_engine(folder, policy=replace(EAGER, flush_age_s=3_600.0))
    try:
        table = IndexedTable(engine, table)
        table.wait()
        table.check()
        table.settle()
        assert unnamed(LocalStore(folder / "objects")) == set()
    finally:
        engine.close()
    assert check_directory(folder) == []
    return store


def run_nth(folder: Path, number: int, effect: Effect) -> bool:
    """Whether the engine came to that operation."""
    store = run(folder, lambda inner: FaultyStore(inner, [Fault(number, effect)]), seed=number, batches=12)
    return len(store.history) >= number


@pytest.mark.parametrize(
    ("number", "effect"), [(4, Effect.BEFORE), (9, Effect.AFTER), (17, Effect.FLIPPED), (26, Effect.TRUNCATED)]
)
def test_an_operation_fails(number: int, effect: Effect, tmp_path: Path) -> None:
    assert run_nth(tmp_path, number, effect)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("effect", list(Effect))
def test_any_operation_fails(effect: Effect, tmp_path: Path) -> None:
    number = 1
    while run_nth(tmp_path / str(number), number, effect):
        number += 1 if number < 40 else 3
    assert number > 60


def run_at_random(folder: Path, seed: int, batches: int) -> None:
    store = run(
        folder,
        lambda inner: FaultyStore(inner, seed=seed, rate=0.1, effects=list(Effect), latency_ms=(0.0, 5.0)),
        seed=seed,
        batches=batches,
    )
    assert store.failed


def test_operations_fail_at_random_and_are_slow(tmp_path: Path) -> None:
    run_at_random(tmp_path, seed=1, batches=12)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_operations_fail_at_random_over_and_over(tmp_path: Path) -> None:
    for seed in range(2, 7):
        run_at_random(tmp_path / str(seed), seed, batches=30)
