"""A process stays within its memory: what was measured decides what segments have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.indexes import resources_in

from lutra.index.builds.builder import ProcessBuilder
from lutra.index.lsm.resources import CACHE_BYTES_MIN, Resources
from lutra.instance.memory_keeper import Measured, MemoryKeeper
from lutra.instance.memory_plan import MemoryPlan
from lutra.model.errors import ServerBusy

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
