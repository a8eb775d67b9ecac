"""A builder whose builds are done elsewhere, with its thread: over a carrier that the test speaks for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.building import KEY, SCHEMA, job_of, rows_of
from support.indexes import index_in, resources_in
from support.quiet_carrier import QuietCarrier, done
from support.waiting import wait_until

from lutra.feed.progress import Progress
from lutra.index.builds.builder import QUICK_BYTES
from lutra.index.builds.policy import Policy
from lutra.index.builds.remote.builder import RemoteBuilder
from lutra.index.builds.remote.carrier import Begun, Died, Done, Event, Ready
from lutra.index.builds.remote.jobs import Patience
from lutra.model.errors import StorageFailure

WAIT_S = 60.0


class Spoken:
    """A builder, and a carrier that says what the test has it say."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.carrier = QuietCarrier()
        self.tell: Callable[[Event], None] = lambda event: None
        self.builder = RemoteBuilder(self._made, patience)

    def _made(self, tell: Callable[[Event], None]) -> QuietCarrier:
        self.tell = tell
        return self.carrier


def test_handed_over_begun_again_and_done(tmp_path: Path) -> None:
    spoken, resources = Spoken(), resources_in(tmp_path)
    job = job_of(resources, 10)
    with contextlib.closing(spoken.builder) as builder:
        assert not builder.state.reachable
        future = builder.submit(job)
        wait_until(lambda: builder.state.waiting == 1)
        spoken.tell(Ready())
        wait_until(lambda: builder.state.queued == 1)
        spoken.tell(Begun("built", "m1"))
        spoken.tell(Died("built", "killed"))
        wait_until(lambda: "built-1" in spoken.carrier.under_way)
        spoken.tell(Begun("built-1", "m2"))
        spoken.tell(Done("built-1", done("built-1")))
        assert future.result(WAIT_S) == done("built-1")
        cancelled = builder.submit(replace(job, output="other"))
        builder.hurry("other")
        builder.cancel("other")
        with pytest.raises(StorageFailure, match="not wanted"):
            cancelled.result(WAIT_S)
        left = builder.submit(replace(job, output="left"))
    with pytest.raises(StorageFailure, match="closed"):
        left.result(WAIT_S)
    with pytest.raises(StorageFailure, match="closed"):
        spoken.builder.submit(job)
    spoken.builder.close()
    resources.close()


def test_one_that_was_never_used_starts_nothing() -> None:
    made: list[object] = []
    builder = RemoteBuilder(made.append)  # type: ignore[arg-type]
    builder.cancel("x")
    builder.hurry("x")
    builder.close()
    assert made == []


def test_an_index_goes_on_where_nobody_is_reached(tmp_path: Path) -> None:
    """Its buffers become what they are to be, and leave memory; what is too large for this machine is put off."""
    spoken = Spoken(Patience(unreachable_s=0.0))
    policy = Policy(flush_bytes=1 << 20, inline_bytes=0, fan_in=100)
    resources = resources_in(tmp_path, policy=policy, builder=spoken.builder)
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    for number in range(4):
        index.apply(rows_of(range(5_000 * number, 5_000 * number + 5_000)))
        index.reached(Progress(number + 1, True))
    assert index.waiting_buffers > 0

    def is_built() -> bool:
        index.maintain()
        kinds = {kind for segment in index.stats().segments for kind in segment.kinds.values()}
        return index.waiting_buffers == 0 and kinds == {"codes"}

    wait_until(is_built)
    assert index.error is None
    assert spoken.builder.state.local > 0
    assert spoken.carrier.given == []
    large = spoken.builder.submit(job_of(resources_in(tmp_path / "other"), 10, memory_bytes=QUICK_BYTES + 1))
    with pytest.raises(StorageFailure, match="could not be handed over"):
        large.result(WAIT_S)
    index.close()
    resources.close()
