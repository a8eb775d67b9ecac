"""What builds put after they had been given up is found and deleted, and nothing else is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.building import KEY, SCHEMA, rows_of
from support.folders import folder_in_memory
from support.indexes import PREFIX, index_in, resources_in
from support.waiting import wait_until

from lutra.feed.progress import Progress as FeedProgress
from lutra.index.builds.build import run_job
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.manifest import Manifest
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import StorageFailure

SOON = Policy(orphans_after_s=0.0, orphans_period_s=0.0, inline_bytes=0, fan_in=2)
"""Looks at each round; every merge goes to the builder."""


class LateBuilder:
    """A `Builder` whose builds are given up, and done when the test has them done: long after perhaps."""

    def __init__(self) -> None:
        self.jobs: list[BuildJob] = []
        self.futures: list[Future[BuildDone]] = []

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        self.jobs.append(job)
        self.futures.append(Future())
        return self.futures[-1]

    def cancel(self, output: str) -> None:
        """It does not hear of it."""

    def hurry(self, output: str) -> None:
        """Nor of this."""

    def close(self) -> None:
        for future in self.futures:
            if not future.done():
                future.set_exception(StorageFailure("closed"))


@pytest.fixture
def builder() -> LateBuilder:
    return LateBuilder()


@pytest.fixture
def resources(tmp_path: Path, builder: LateBuilder) -> Iterator[Resources]:
    opened = resources_in(tmp_path, policy=SOON, builder=builder)
    yield opened
    opened.close()


def filled(resources: Resources, rounds: int = 2) -> SearchIndex:
    """With ``rounds`` segments."""
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    for number in range(rounds):
        index.apply(rows_of(range(100 * number, 100 * number + 100)))
        index.reached(FeedProgress(number + 1, True))
        index.flush()
    return index


def segments(resources: Resources) -> set[str]:
    return {name.removeprefix(PREFIX) for name in resources.store.list(PREFIX + "segments/")}


def test_what_a_late_build_puts_is_deleted(resources: Resources, builder: LateBuilder) -> None:
    index = filled(resources)
    (job,) = builder.jobs
    named = {segment.name for segment in index.stats().segments}
    builder.futures[0].set_exception(StorageFailure("lost"))
    index.maintain()
    assert segments(resources) == named
    run_job(job)  # it was given up, and ends all the same
    assert segments(resources) > named
    index.maintain()
    index.maintain()
    assert segments(resources) == named
    assert {segment.name for segment in index.stats().segments} == named
    index.close()


def test_so_is_what_one_of_an_owner_before_puts(resources: Resources, builder: LateBuilder) -> None:
    """Whose job nobody knows of any more, and after its successor has looked at what there is."""
    filled(resources).close()
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    index.maintain()
    before = segments(resources)
    run_job(builder.jobs[0])
    index.maintain()
    index.maintain()
    assert segments(resources) == before
    index.close()


def test_what_an_attempt_under_way_has_put_is_kept(resources: Resources, builder: LateBuilder) -> None:
    """Nobody has said yet that it is done; another attempt may find it."""
    index = filled(resources)
    (job,) = builder.jobs
    attempts = [job, *(replace(job, output=f"{job.output}-{number}") for number in (1, 2))]
    for attempt in attempts:
        run_job(attempt)
    for _ in range(3):
        index.maintain()
    assert {attempt.output.removeprefix(PREFIX) for attempt in attempts} <= segments(resources)
    builder.futures[0].set_result(run_job(attempts[1]))
    for _ in range(4):
        index.maintain()
    taken = attempts[1].output.removeprefix(PREFIX)
    others = {attempt.output.removeprefix(PREFIX) for attempt in attempts} - {taken}
    assert taken in segments(resources)
    assert not others & segments(resources)
    (segment,) = index.stats().segments
    assert (segment.name, segment.rows) == (taken, 200)
    index.close()


def test_a_writer_that_was_replaced_deletes_nothing(resources: Resources, builder: LateBuilder) -> None:
    first = filled(resources)
    second = index_in(resources, SCHEMA, KEY)
    second.open()
    second.apply(rows_of(range(500, 600)))
    second.reached(FeedProgress(9, True))
    second.flush()
    theirs = segments(resources)
    assert theirs > {segment.name for segment in first.stats().segments}
    for _ in range(3):
        first.maintain()
    assert segments(resources) == theirs
    for index in (first, second):
        index.close()


def test_it_is_looked_for_now_and_then_only(tmp_path: Path, builder: LateBuilder) -> None:
    resources = resources_in(tmp_path, policy=replace(SOON, orphans_after_s=0.3, orphans_period_s=1e6), builder=builder)
    index = filled(resources)
    lists = resources.store.requests.lists
    for _ in range(20):
        index.maintain()
    assert resources.store.requests.lists <= lists + 2
    wait_until(lambda: index.is_due(time.monotonic()))
    index.maintain()
    assert not index.is_due(time.monotonic())
    builder.futures[0].set_exception(StorageFailure("lost"))
    index.maintain()
    run_job(builder.jobs[0])
    late = builder.jobs[0].output.removeprefix(PREFIX)
    assert late in segments(resources)

    def is_gone() -> bool:
        index.maintain()
        return late not in segments(resources)

    wait_until(is_gone)
    index.close()
    resources.close()


@given(
    st.lists(
        st.sampled_from(["put", "late", "late attempt", "look", "collect", "take over", "stale look"]), max_size=25
    )
)
@settings(max_examples=80, deadline=None)
def test_nothing_named_or_wanted_is_ever_an_orphan(steps: list[str]) -> None:
    """Two writers, the later of which counts: what its manifest names, and what is built for it, stays."""
    with tempfile.TemporaryDirectory(dir=folder_in_memory()) as folder:
        store = resources_in(Path(folder)).store
        writers = [IndexStorage(store, PREFIX)]
        first = Manifest("w", "s")
        writers[0].take_over(first, lambda manifest: None)
        wanted: set[str] = set()
        for number, step in enumerate(steps):
            newest = writers[-1]
            match step:
                case "put":  # of a build that is wanted
                    name = newest.new_segment()
                    newest.discard(name)
                    wanted.add(name)
                    store.put(newest.full(name), b"1")
                case "late":
                    store.put(newest.full(f"segments/{number:032x}"), b"1")
                case "late attempt":
                    store.put(newest.full(f"segments/{number:032x}-1"), b"1")
                case "look":
                    newest.find_orphans(wanted)
                case "collect":
                    newest.collect(wanted)
                case "take over":
                    writers.append(IndexStorage(store, PREFIX))
                    writers[-1].take_over(replace(first, writer=f"w{number}"), lambda manifest: None)
                    wanted = set()
                case "stale look":
                    writers[0].find_orphans(set())
                    if writers[0] is not newest:
                        writers[0].collect(set())
            assert wanted <= {newest.own(name) for name in store.list(PREFIX + "segments/")}
        writers[-1].find_orphans(wanted)
        writers[-1].collect(wanted)
        assert {writers[-1].own(name) for name in store.list(PREFIX + "segments/")} == wanted
