"""A process stays within its memory: what was measured decides what segments have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.indexes import PREFIX, index_in, resources_in
from support.stalling_store import WITHIN_S, StallingStore
from support.waiting import wait_until

from lutra.index.builds.builder import ProcessBuilder
from lutra.index.lsm.resources import CACHE_BYTES_MIN, Resources
from lutra.index.lsm.shared import SharedSegments
from lutra.instance.memory_keeper import Measured, MemoryKeeper
from lutra.instance.memory_plan import MemoryPlan
from lutra.model.errors import ServerBusy
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.vectors import build_plan

MIB = 1024 * 1024
LIMIT_BYTES = 1 << 30
PLAN = MemoryPlan.of(LIMIT_BYTES, 62 * MIB)


class Scale:
    """What the system tells."""

    def __init__(self) -> None:
        self.measured = Measured(200 * MIB)

    def __call__(self) -> Measured:
        return self.measured


@pytest.fixture
def scale() -> Scale:
    return Scale()


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    made = resources_in(tmp_path, builder=ProcessBuilder())
    yield made
    made.close()


@pytest.fixture
def keeper(resources: Resources, scale: Scale) -> Iterator[MemoryKeeper]:
    made = MemoryKeeper(resources, PLAN, scale)
    yield made
    made.stop()


def given(resources: Resources) -> int:
    return resources.memory.total_bytes + resources.cache.counters().budget_bytes


def test_while_nothing_is_built_segments_have_what_builds_do_not_need(
    keeper: MemoryKeeper, resources: Resources, scale: Scale
) -> None:
    keeper.look()
    assert given(resources) == keeper.segments_bytes > PLAN.segments_bytes
    assert isinstance(resources.builder, ProcessBuilder)
    resources.builder.before_build()
    assert given(resources) == keeper.segments_bytes == PLAN.segments_bytes, "given back before a build begins"
    scale.measured = Measured(200 * MIB, 50 * MIB)
    keeper.look()
    assert given(resources) == PLAN.segments_bytes


def test_segments_give_way_where_more_is_measured_than_was_planned(
    keeper: MemoryKeeper, resources: Resources, scale: Scale
) -> None:
    keeper.look()
    before = keeper.segments_bytes
    scale.measured = Measured(LIMIT_BYTES - 40 * MIB)
    keeper.look()
    once = keeper.segments_bytes
    assert 20 * MIB < before - once < 60 * MIB, "what is too much, and no more"
    keeper.look()
    assert keeper.segments_bytes < once, "as long as it is so"
    for _ in range(100):
        keeper.look()
    assert keeper.segments_bytes == PLAN.segments_bytes // 4, "some is left to them in any case"
    assert given(resources) == keeper.segments_bytes
    scale.measured = Measured(300 * MIB)
    for _ in range(100):
        keeper.look()
    assert keeper.segments_bytes == before, "they have it again"


def test_where_codes_do_not_fit_beside_it_the_cache_gives_way(
    keeper: MemoryKeeper, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.look()
    before = resources.cache.counters().budget_bytes
    monkeypatch.setattr(SharedSegments, "least_bytes", lambda self, memory: keeper.segments_bytes - before // 2)
    keeper.look()
    assert resources.cache.counters().budget_bytes == before // 2
    monkeypatch.setattr(SharedSegments, "least_bytes", lambda self, memory: 2 * keeper.segments_bytes)
    keeper.look()
    assert resources.cache.counters().budget_bytes == CACHE_BYTES_MIN
    assert given(resources) == keeper.segments_bytes
    monkeypatch.undo()
    keeper.look()
    assert resources.cache.counters().budget_bytes == before


def test_who_needs_memory_waits_where_there_is_none(keeper: MemoryKeeper, scale: Scale) -> None:
    keeper.look()
    keeper.require_room()
    scale.measured = Measured(700 * MIB, 310 * MIB)
    keeper.look()
    with pytest.raises(ServerBusy, match="memory limit"):
        keeper.require_room()


def test_without_a_limit_nothing_is_measured(resources: Resources) -> None:
    before = given(resources)
    keeper = MemoryKeeper(resources)
    try:
        keeper.look()
        assert (keeper.measured, keeper.is_full, given(resources)) == (Measured(), False, before)
        assert resources.cache.counters().budget_bytes >= CACHE_BYTES_MIN
    finally:
        keeper.stop()


def test_a_store_that_does_not_answer_holds_up_neither_measuring_nor_the_end(
    tmp_path: Path, scale: Scale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_plan, "FLAT_BYTES_MAX", 1_000)
    rows, dimension = 600, 16
    schema = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(dimension)),))
    vectors = np.random.default_rng(0).standard_normal((rows, dimension)).astype("<f4")
    with StallingStore(LocalStore(tmp_path / "objects")) as store:
        resources = resources_in(tmp_path, store=store, memory_bytes=0)
        index = index_in(resources, schema, (KeyColumn("id", ColumnType.INTEGER),))
        index.open()
        index.apply([Row((("id", n),), [("v", vector.tobytes(), 1)]) for n, vector in enumerate(vectors)])
        index.flush()
        index.compact()
        keeper = MemoryKeeper(resources, PLAN, scale)
        assert resources.memory.granted_bytes == 0
        store.stall(PREFIX)
        store.wait_waiting(PREFIX)  # the codes that there is memory for now
        scale.measured = Measured(LIMIT_BYTES)
        wait_until(lambda: keeper.is_full, WITHIN_S)
        assert not keeper.stop(wait_s=0.1)
        assert index.close(wait_s=WITHIN_S), "though what is read for its segment has not come"
        store.release()
        assert keeper.stop(WITHIN_S)
        assert resources.memory.granted_bytes == 0, "it was closed once that had come"
        resources.close()
