"""What opening an index asks of its store: few round trips, one after the other, however many segments there are."""

from __future__ import annotations

import gc
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from support.faulty_store import FaultyStore
from support.indexes import PREFIX, index_in, resources_in
from support.lsm import KEY, SCHEMA, found, row_of
from support.s3_server import S3Server

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.segment_set import SegmentSet
from lutra.model.errors import Corruption, Fenced, ObjectMissing
from lutra.model.queries import MatchAll
from lutra.model.rows import PrimaryKey
from lutra.objects.local import LocalStore
from lutra.objects.s3 import S3Store
from lutra.objects.store import ObjectStore

SEGMENTS = 100
ROWS = 5
WITH_DELETIONS = SEGMENTS // 2
UNMERGED = Policy(fan_in=10_000, segments_max=10_000, flush_age_s=3_600, dead_share=2)
FIXED = 4
"""A list, the newest manifest, a put of the next, and a list that sees that there is none newer."""
AT_ONCE = 32
LATENCY_MS = 100
"""Long enough for as many requests to begin as are made at once."""


def key(number: int) -> PrimaryKey:
    return (("user", "u"), ("id", number))


def content(number: int) -> tuple[int, str, list[float]]:
    return number % 5, "x" if number % 3 else "y", [number / 7, number % 11]


def fill(resources: Resources) -> dict[PrimaryKey, tuple[int | None, str | None, list[float] | None]]:
    """An index of ``SEGMENTS``, every other with a dead row; the rows it is to have."""
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    for begin in range(0, SEGMENTS * ROWS, ROWS):
        index.apply([row_of(key(number), content(number)) for number in range(begin, begin + ROWS)])
        index.flush()
    dead = [number * 2 * ROWS for number in range(WITH_DELETIONS)]
    index.apply([], [key(number) for number in dead])
    index.reached(Progress(len(dead) + SEGMENTS * ROWS, True))
    index.flush()
    assert len(index.stats().segments) == SEGMENTS
    index.close()
    return {key(number): content(number) for number in range(SEGMENTS * ROWS) if number not in dead}


def open_counted(folder: Path, store: ObjectStore, rows: int, where: str) -> None:
    """Opens the index over ``store`` and counts."""
    resources = resources_in(folder, store=store, policy=UNMERGED)
    index = index_in(resources, SCHEMA, KEY)
    before, begin_s = store.requests, time.monotonic()
    index.open()
    took_s, spent = time.monotonic() - begin_s, store.requests - before
    told = (
        f"{where}: {SEGMENTS} segments, {WITH_DELETIONS} with deletions, opened in {took_s:.3f} s by "
        f"{spent.round_trips} requests: {spent.lists} lists, {spent.gets} gets, {spent.puts} puts, "
        f"{spent.ranged_reads} reads, {spent.heads} heads; {spent.read_bytes:,} bytes read"
    )
    print(told)
    assert (spent.lists, spent.gets, spent.puts) == (2, 1 + WITH_DELETIONS, 1), told
    assert spent.ranged_reads == SEGMENTS, told
    assert spent.round_trips == FIXED + SEGMENTS + WITH_DELETIONS, told
    assert index.rows == rows
    index.close()
    resources.close()


def test_a_hundred_segments(tmp_path: Path) -> None:
    """Each segment is one request, with its deletions two, and those of different segments do not wait for each
    other."""
    resources = resources_in(tmp_path, policy=UNMERGED)
    model = fill(resources)
    resources.close()
    slow = FaultyStore(LocalStore(tmp_path / "objects"), latency_ms=(LATENCY_MS, LATENCY_MS))
    open_counted(tmp_path, slow, len(model), f"a store that takes {LATENCY_MS} ms")
    assert slow.most_at_once == AT_ONCE
    slow.heal()
    again = resources_in(tmp_path, store=slow, policy=UNMERGED)
    index = index_in(again, SCHEMA, KEY)
    index.open()
    in_order = [key(number) for number in range(SEGMENTS * ROWS) if key(number) in model]
    assert [one for one, _ in found(index.view(), MatchAll())] == in_order[:100]
    index.close()
    again.close()


@pytest.mark.slow
def test_a_hundred_segments_on_s3(tmp_path: Path, s3_server: S3Server) -> None:
    store = S3Store(s3_server.url(uuid.uuid4().hex), **s3_server.options)
    resources = resources_in(tmp_path, store=store, policy=UNMERGED)
    model = fill(resources)
    resources.close()
    open_counted(tmp_path, store, len(model), "S3")


def test_an_index_that_is_damaged_gains_no_manifest(tmp_path: Path) -> None:
    """However often it is tried, nothing is put, and memory of what could be opened is given back."""
    resources = resources_in(tmp_path, policy=UNMERGED)
    model = fill(resources)
    store = resources.store
    lost = store.list(PREFIX + "segments")[SEGMENTS // 2]
    data = store.get(lost)
    before, names = resources.memory.granted_bytes, [name for name in store.list("") if name != lost]
    index = index_in(resources, SCHEMA, KEY)
    for damage in (lambda: store.delete(lost), lambda: store.put(lost, data[: len(data) // 2])):
        damage()
        for _ in range(4):
            with pytest.raises((ObjectMissing, Corruption), match=lost):
                index.open()
            assert [name for name in store.list("") if name != lost] == names
    gc.collect()
    store.put(lost, data)
    index.open()
    assert index.rows == len(model)
    index.close()
    gc.collect()
    index.close()
    assert resources.memory.granted_bytes == before
    assert len(store.list(PREFIX + "manifest")) <= 3
    resources.close()


def test_an_opening_that_gets_on_tells(tmp_path: Path) -> None:
    """A segment at a time, and each part of one that is read in parts: so that it is not taken for stuck."""
    resources = resources_in(tmp_path, policy=UNMERGED)
    fill(resources)
    index = index_in(resources, SCHEMA, KEY)
    told: list[int] = []
    index.on_progress = lambda: told.append(1)
    index.open()
    assert len(told) >= SEGMENTS
    index.close()
    resources.close()


def test_another_writer_goes_on_while_an_index_is_opened(tmp_path: Path) -> None:
    """What it opened is not what counts any more: it looks again, and is the writer in the end."""
    resources = resources_in(tmp_path)
    first, second = (index_in(resources, SCHEMA, KEY) for _ in range(2))
    first.open()
    first.apply([row_of(key(1), content(1))])
    whole, begun = SegmentSet.open_all, []

    def interrupted(self: SegmentSet, entries: Any, on_progress: Any) -> Any:
        begun.append(len(entries))
        opened = whole(self, entries, on_progress)
        if len(begun) == 1:
            first.flush()
        return opened

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentSet, "open_all", interrupted)
        second.open()
    assert begun == [0, 1]
    assert second.rows == 1
    traces = []
    for _ in range(3):
        with pytest.raises(Fenced) as told:
            first.flush()
        traces.append(len(told.traceback))
    assert traces[1:] == traces[1:2] * 2, "an error that is told again does not grow"
    for index in (first, second):
        index.close()
    resources.close()
