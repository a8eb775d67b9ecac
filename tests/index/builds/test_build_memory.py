"""What builds may take: they get more where they need it, and are given up where there is no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.indexes import index_in, resources_in

from lutra.index.builds.builder import QUICK_BYTES, InlineBuilder
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.index.builds.policy import BUILD_BYTES_MIN, Policy
from lutra.index.lsm import resources as resources_module
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources, build_memory_default
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.vectors import build_plan

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 8
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
MIB = 1 << 20
LIMIT_BYTES = 600 * MIB
MERGED = Policy(flush_age_s=3_600, fan_in=2, size_ratio=1_000, dead_share=1.0, build_memory_bytes=LIMIT_BYTES)
ALONE = Policy(flush_age_s=3_600, fan_in=1_000, dead_share=1.0, build_memory_bytes=LIMIT_BYTES)


class NeedyBuilder(InlineBuilder):
    """Builds with what memory there is, but as if ``needs`` said what it takes."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self.needs: Callable[[BuildJob], int] = lambda job: 0
        self.given: list[int] = []

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        self.given.append(job.memory_bytes)
        if job.memory_bytes < self.needs(job):
            future: Future[BuildDone] = Future()
            future.set_exception(MemoryError("the build needs more"))
            return future
        return super().submit(job, on_progress)


@pytest.fixture(autouse=True)
def few_rows_are_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_plan, "FLAT_BYTES_MAX", 4 * DIMENSION * 4)


@pytest.fixture
def builder(tmp_path: Path) -> NeedyBuilder:
    return NeedyBuilder(LocalStore(tmp_path / "objects"))


@pytest.fixture
def opened(tmp_path: Path, builder: NeedyBuilder) -> Iterator[Callable[[Policy], SearchIndex]]:
    closing: list[Any] = []

    def open_with(policy: Policy) -> SearchIndex:
        resources = resources_in(tmp_path, policy=policy, builder=builder)
        index = index_in(resources, SCHEMA, KEY)
        index.open()
        closing.extend([index, resources])
        return index

    yield open_with
    for one in closing:
        one.close()


def flush(index: SearchIndex, ids: range) -> None:
    index.apply([Row((("id", n),), [("v", np.full(DIMENSION, n, "<f4").tobytes(), 1)]) for n in ids])
    index.flush()


def maintain(index: SearchIndex, rounds: int = 30) -> None:
    """As time goes by: what failed is tried again, where it is to be."""
    for _ in range(rounds):
        index._merges._pauses.end()
        index.maintain()


def test_a_build_that_needs_more_than_was_thought_gets_it(
    opened: Callable[[Policy], SearchIndex], builder: NeedyBuilder
) -> None:
    index = opened(ALONE)
    builder.needs = lambda job: 2 * builder.given[0]
    flush(index, range(20))
    assert index.error == "MemoryError: the build needs more"
    maintain(index)
    thought = builder.given[0]
    assert builder.given == [thought, int(1.5 * thought), int(1.5 * 1.5 * thought)]
    assert builder.given[1] < 2 * thought < builder.given[2] < LIMIT_BYTES
    assert (index.error, index.waiting_buffers) == (None, 0)
    assert [segment.kind for segment in index.stats().segments] == ["codes"]


def test_a_build_that_needs_more_than_it_may_get_is_given_up(
    opened: Callable[[Policy], SearchIndex], builder: NeedyBuilder
) -> None:
    """Two segments of 20 rows are not merged; each gets its codes, and those that are smaller are merged as ever."""
    index = opened(MERGED)
    builder.needs = lambda job: 2 * LIMIT_BYTES if len(job.inputs) > 1 else 0
    flush(index, range(20))
    flush(index, range(20, 40))
    maintain(index)
    assert max(builder.given) == LIMIT_BYTES, "all there is, once"
    tries = len(builder.given)
    maintain(index)
    assert len(builder.given) == tries, "and never again"
    assert index.error is not None
    assert "a build of 40 rows needs more than the 600 MB that a build may take" in index.error
    stats = index.stats()
    assert ([segment.kind for segment in stats.segments], index.waiting_buffers) == (["codes", "codes"], 0)
    assert stats.awaited == 0, "nothing is waited for that does not come"
    assert not index.is_due(0.0)
    builder.needs = lambda job: 0
    flush(index, range(40, 44))
    flush(index, range(44, 48))
    maintain(index)
    rows = [segment.rows for segment in index.stats().segments]
    assert (len(rows), sum(rows)) == (2, 48)
    assert max(rows) < 40


def test_a_buffer_that_cannot_get_its_codes_holds_up_nothing(
    opened: Callable[[Policy], SearchIndex], builder: NeedyBuilder
) -> None:
    index = opened(ALONE)
    builder.needs = lambda job: 2 * LIMIT_BYTES
    for first in range(0, 200, 20):
        flush(index, range(first, first + 20))
        maintain(index)
    assert index.waiting_buffers == 0, "flat segments serve"
    assert {segment.kind for segment in index.stats().segments} == {"flat"}
    assert len(builder.given) < 10, "the first was tried until it had all there is"
    assert index.view().rows == 200


def test_what_a_build_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the memory there is, unless somebody says; enough for what a buffer needs in any case."""

    def of(machine_bytes: int, said_bytes: int | None = None) -> int:
        monkeypatch.setattr(resources_module, "machine_memory_bytes", lambda: machine_bytes)
        opened = Resources.open(str(tmp_path), tmp_path / "scratch", 64 * MIB, build_memory_bytes=said_bytes)
        opened.close()
        assert said_bytes is not None or opened.policy.build_memory_bytes == build_memory_default()
        return opened.policy.build_memory_bytes

    assert of(64 << 30) == 16 << 30
    assert of(1 << 30) == QUICK_BYTES
    assert of(1 << 30, 900 * MIB) == 900 * MIB
    assert of(1 << 30, BUILD_BYTES_MIN) == BUILD_BYTES_MIN
    with pytest.raises(ParameterInvalid, match="32 MB of memory at least, but they are given 31"):
        of(64 << 30, BUILD_BYTES_MIN - 1)
