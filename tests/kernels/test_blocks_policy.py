"""What the block cache keeps: against a plain model of S3-FIFO by bytes, and that weight and budget hold."""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kernels.blocks import BlockCache, BlockCounters, BlockKind, BlockSource
from lutra.model.errors import ServerBusy

BLOCK = 4096
BLOCK_OVERHEAD = 112
GHOST_OVERHEAD = 80
HITS_MAX = 3
WORTH = {
    BlockKind.METADATA: (0, 3),
    BlockKind.ADJACENCY: (1, 2),
    BlockKind.CODES: (1, 1),
    BlockKind.VECTORS: (2, 0),
    BlockKind.COLUMNS: (1, 1),
}
"""Hits in the small queue that make a block stay; hits it starts the main queue with."""

Key = tuple[int, int]


@dataclass
class Held:
    frame_bytes: int
    kind: BlockKind
    hits: int = 0


def buckets(capacity_bytes: int) -> int:
    """Of the table: the power of two at or above one for every 4 KB; 8 bytes each."""
    return 1 << (max(16, capacity_bytes // 4096) - 1).bit_length()


class S3Fifo:
    """The paper's algorithm with one lock and no threads, oldest first in each queue."""

    def __init__(self, capacity_bytes: int, fixed_bytes: int) -> None:
        self.capacity_bytes, self.fixed_bytes = capacity_bytes, fixed_bytes
        self.small: OrderedDict[Key, Held] = OrderedDict()
        self.main: OrderedDict[Key, Held] = OrderedDict()
        self.ghosts: OrderedDict[Key, int] = OrderedDict()

    @staticmethod
    def size(queue: OrderedDict[Key, Held]) -> int:
        return sum(held.frame_bytes for held in queue.values())

    def used_bytes(self) -> int:
        blocks = self.size(self.small) + self.size(self.main) + BLOCK_OVERHEAD * (len(self.small) + len(self.main))
        return self.fixed_bytes + blocks + GHOST_OVERHEAD * len(self.ghosts)

    def resize(self, capacity_bytes: int) -> None:
        fixed_bytes = self.fixed_bytes + 8 * (buckets(capacity_bytes) - buckets(self.capacity_bytes))
        self.make_room(capacity_bytes, max(0, fixed_bytes - self.fixed_bytes))
        self.capacity_bytes, self.fixed_bytes = capacity_bytes, fixed_bytes
        self.limit_ghosts()

    def read(self, key: Key, frame_bytes: int, kind: BlockKind) -> bool:
        """Whether it was there."""
        for queue in (self.small, self.main):
            if key in queue:
                queue[key].hits = min(HITS_MAX, queue[key].hits + 1)
                return True
        remembered = self.ghosts.pop(key, None) is not None
        self.make_room(self.capacity_bytes, frame_bytes + BLOCK_OVERHEAD)
        queue = self.main if remembered else self.small
        queue[key] = Held(frame_bytes, kind, WORTH[kind][1] if remembered else 0)
        return False

    def make_room(self, capacity_bytes: int, more_bytes: int) -> None:
        while self.used_bytes() + more_bytes > capacity_bytes:
            if self.small or self.main:
                self.evict()
            else:
                self.ghosts.popitem(last=False)

    def limit_ghosts(self) -> None:
        while sum(self.ghosts.values()) > self.capacity_bytes - self.capacity_bytes // 10:
            self.ghosts.popitem(last=False)

    def evict(self) -> None:
        while True:
            if self.small and (self.size(self.small) >= self.capacity_bytes // 10 or not self.main):
                key, held = self.small.popitem(last=False)
                to_stay, head_start = WORTH[held.kind]
                if held.hits < to_stay:
                    self.ghosts[key] = held.frame_bytes
                    self.limit_ghosts()
                    return
                held.hits = head_start
                self.main[key] = held
            elif self.main:
                key, held = self.main.popitem(last=False)
                if held.hits == 0:
                    return
                held.hits -= 1
                self.main[key] = held
            else:
                return


def fetch(ranges: list[tuple[int, int]]) -> list[bytes]:
    return [bytes(length) for _, length in ranges]


def total(cache: BlockCache) -> BlockCounters:
    return sum(cache.counters().kinds.values(), BlockCounters())


SOURCES = [
    (BlockKind.METADATA, BLOCK), (BlockKind.ADJACENCY, BLOCK), (BlockKind.CODES, 2 * BLOCK), (BlockKind.VECTORS, BLOCK),
    (BlockKind.VECTORS, 3 * BLOCK), (BlockKind.COLUMNS, BLOCK),
]  # fmt: skip
steps = st.lists(
    st.one_of(
        st.tuples(st.integers(0, len(SOURCES) - 1), st.integers(0, 60)),
        st.tuples(st.integers(0, len(SOURCES) - 1), st.integers(0, 8)),  # some blocks are asked for often
        st.tuples(st.just(-1), st.integers(20, 100)),  # another budget
    ),
    max_size=600,
)


@settings(max_examples=30, deadline=None)
@given(steps, st.randoms(use_true_random=False))
def test_as_the_model(given_steps: list[tuple[int, int]], generator: random.Random) -> None:
    """After every read: the same answer (found or not), the same bytes in use."""
    budget = 64 * BLOCK * 3
    cache = BlockCache(budget, shards=1)
    sources = [cache.open_remote(fetch, 61 * size, size, kind=kind) for kind, size in SOURCES]
    model = S3Fifo(budget, cache.counters().overhead_bytes)
    for which, number in given_steps + [
        (generator.randrange(len(SOURCES)), generator.randrange(61)) for _ in range(200)
    ]:
        if which < 0:
            budget = number * 2 * BLOCK
            cache.resize(budget)
            model.resize(budget)
            continue
        kind, size = SOURCES[which]
        hits = total(cache).hits
        sources[which].read([number])
        found = model.read((which, number), size, kind)
        counters = cache.counters()
        held = sum(counts.held_bytes for counts in counters.kinds.values())
        assert total(cache).hits - hits == found
        assert held == model.size(model.small) + model.size(model.main)
        assert counters.ghosts == len(model.ghosts)
        assert held + counters.overhead_bytes == model.used_bytes()
        assert counters.used_bytes <= budget
    cache.close()


def test_what_is_asked_for_again_outlives_what_is_read_once() -> None:
    """A scan of many times the budget leaves the hot blocks where they are."""
    cache = BlockCache(1 << 20, shards=1)
    source = cache.open_remote(fetch, 10_000 * BLOCK)
    hot = list(range(50))
    for _ in range(4):
        source.read(hot)
    for begin in range(1000, 9000, 20):
        source.read(range(begin, begin + 20))
    hits = total(cache).hits
    source.read(hot)
    assert total(cache).hits - hits == len(hot)


def test_dearer_kinds_outlive_cheaper_ones() -> None:
    """All asked for alike: under pressure from more of the same, the dearer the kind, the more of it stays."""
    cache = BlockCache(1 << 20, shards=1)
    sources = [cache.open_remote(fetch, 2000 * BLOCK, kind=kind) for kind in BlockKind]
    generator = random.Random(3)
    for _ in range(20_000):
        sources[generator.randrange(len(sources))].read([int(generator.paretovariate(0.7)) % 2000])
    held = {kind: cache.counters().kinds[kind].held_blocks for kind in BlockKind}
    metadata, adjacency, codes, vectors, columns = held.values()
    assert metadata > adjacency > codes > vectors
    assert adjacency > columns > vectors


def test_columns_read_once_do_not_stay_as_metadata_does() -> None:
    """A sweep over columns goes through the small queue and out of it."""
    cache = BlockCache(1 << 20, shards=1)
    columns = cache.open_remote(fetch, 10_000 * BLOCK, kind=BlockKind.COLUMNS)
    hot = cache.open_remote(fetch, 100 * BLOCK, kind=BlockKind.COLUMNS)
    for _ in range(3):
        hot.read(range(50))
    for begin in range(0, 8_000, 20):
        columns.read(range(begin, begin + 20))
    hits = cache.counters().kinds[BlockKind.COLUMNS].hits
    hot.read(range(50))
    assert cache.counters().kinds[BlockKind.COLUMNS].hits - hits == 50


@pytest.mark.parametrize(("shards", "threads"), [(1, 4), (4, 8)])
def test_the_budget_holds_under_load(shards: int, threads: int) -> None:
    """Many threads read, read ahead, read past and resize, with blocks of two sizes."""
    budget = shards * (160 << 10)
    cache = BlockCache(budget, shards=shards)
    sources = [cache.open_remote(fetch, 500 * size, size) for size in (BLOCK, 4 * BLOCK)]
    errors: list[BaseException] = []
    over: list[int] = []

    def load(seed: int) -> None:
        generator = random.Random(seed)
        try:
            for _ in range(150):
                source: BlockSource = generator.choice(sources)
                numbers = [generator.randrange(500) for _ in range(generator.randrange(1, 30))]
                source.prefetch(numbers[:5])
                source.read(numbers, bypass=generator.random() < 0.1)
                counters = cache.counters()
                if max(counters.used_bytes, counters.used_bytes_max) > counters.budget_bytes:
                    over.append(counters.used_bytes)
                if generator.random() < 0.02:
                    cache.resize(budget + generator.randrange(3) * (64 << 10) * shards)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=load, args=(seed,)) for seed in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert errors == []
    assert over == []
    cache.close()
    counters = cache.counters()
    assert counters.used_bytes == counters.overhead_bytes
    assert total(cache).held_blocks == 0


def test_a_budget_all_in_use_is_said_not_exceeded() -> None:
    """Blocks on their way cannot be evicted: who finds no room beside them is told, after a while."""
    cache = BlockCache(64 << 10, shards=1)
    go = threading.Event()

    def wait_and_fetch(ranges: list[tuple[int, int]]) -> list[bytes]:
        assert go.wait(20)
        return fetch(ranges)

    slow = cache.open_remote(wait_and_fetch, 100 * BLOCK)
    quick = cache.open_remote(fetch, 100 * BLOCK)
    readers = [threading.Thread(target=slow.read, args=(range(i * 50, i * 50 + 20),)) for i in range(2)]
    readers[0].start()
    while total(cache).misses < 14:
        time.sleep(0.001)
    with pytest.raises(ServerBusy, match="all in use"):
        quick.read([1])
    quick.prefetch([1])
    cache.resize(128 << 10)
    assert quick.read([1]) == [bytes(BLOCK)]
    readers[1].start()
    while total(cache).misses < 24:
        time.sleep(0.001)
    with pytest.raises(ServerBusy, match="keeps its 131072"):
        cache.resize(64 << 10)
    counters = cache.counters()
    assert counters.used_bytes_max <= counters.budget_bytes == 128 << 10
    go.set()
    for reader in readers:
        reader.join(20)
        assert not reader.is_alive()
    cache.resize(64 << 10)
    assert cache.counters().used_bytes <= 64 << 10
    assert slow.read([99]) == [bytes(BLOCK)]
