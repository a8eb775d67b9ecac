"""Flush and compaction decisions, played through without any data."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.index.builds.policy import Policy, SegmentShape, VectorsShape
from lutra.vectors.build_plan import choose_kind
from lutra.vectors.layout import SegmentKind

POLICY = Policy()
MIB = 1024 * 1024


def shape(
    name: str, rows: int, dead: int = 0, *, dimension: int = 128, kind: SegmentKind | None = None
) -> SegmentShape:
    vectors = VectorsShape(dimension, rows, kind or choose_kind(rows, dimension))
    return SegmentShape(name, rows, dead, rows * (4 * dimension + 100), rows * 100, (vectors,))


class Lsm:
    """What the policy makes of flushes and kills."""

    def __init__(self, policy: Policy, dimension: int, seed: int = 0) -> None:
        self.policy = policy
        self.dimension = dimension
        self.names = itertools.count()
        self.random = random.Random(seed)
        self.segments: list[SegmentShape] = []
        self.flushed_rows = self.written_rows = 0

    def flush(self, rows: int) -> None:
        self.segments.append(shape(f"{next(self.names):09}", rows, dimension=self.dimension, kind=SegmentKind.FLAT))
        self.flushed_rows += rows
        self.written_rows += rows
        self.settle()

    def kill(self, share: float) -> None:
        self.segments = [
            replace(s, dead=min(s.rows, s.dead + round(s.live * share * self.random.random()))) for s in self.segments
        ]
        self.settle()

    def settle(self) -> None:
        for _ in range(10 * len(self.segments) + 10):
            self.segments = [s for s in self.segments if s.live]
            chosen = self.policy.choose_merge(self.segments)
            if not chosen:
                return
            names = {s.name for s in chosen}
            assert len(names) == len(chosen)
            assert [s.live_bytes for s in chosen] == sorted((s.live_bytes for s in chosen), reverse=True)
            assert self.policy.build_need_bytes(chosen) <= self.policy.build_memory_bytes
            rows = sum(s.live for s in chosen)
            self.written_rows += rows
            merged = shape(f"{next(self.names):09}", rows, dimension=self.dimension)
            self.segments = [s for s in self.segments if s.name not in names] + [merged]
        raise AssertionError("compaction does not end")

    def check(self) -> None:
        fits = [s for s in self.segments if self.policy.build_need_bytes([s]) <= self.policy.build_memory_bytes]
        for segment in fits:
            assert segment.has_its_kind
            assert segment.dead <= self.policy.dead_share * segment.rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 20_000), st.floats(0, 1)), min_size=1, max_size=60),
    st.sampled_from([4, 128, 960]),
    st.sampled_from([POLICY, Policy(segments_max=3), Policy(build_memory_bytes=420 * MIB), Policy(fan_in=2)]),
    st.integers(0, 9),
)
def test_whatever_comes_settles(steps: list[tuple[int, float]], dimension: int, policy: Policy, seed: int) -> None:
    lsm = Lsm(policy, dimension, seed)
    for rows, share in steps:
        lsm.flush(rows)
        lsm.kill(share if share > 0.5 else 0)
        lsm.check()
        if policy.build_memory_bytes > 1024 * MIB:
            assert sum(not policy.is_full(segment) for segment in lsm.segments) <= policy.segments_max


def plain_choice(policy: Policy, segments: list[SegmentShape]) -> list[SegmentShape]:
    """As the policy says in words: every run of segments is tried, the longest first."""

    def fits(some: list[SegmentShape]) -> bool:
        return policy.build_need_bytes(some) <= policy.build_memory_bytes

    def tier_bytes(segment: SegmentShape) -> int:
        return max(segment.live_bytes, policy.size_floor_bytes)

    def tier(of: list[SegmentShape], least: int) -> list[SegmentShape]:
        for first, smallest in enumerate(of):
            about = [s for s in of[first:] if tier_bytes(s) <= policy.size_ratio * tier_bytes(smallest)]
            if len(about) >= policy.fan_in:
                for count in range(len(about), least - 1, -1):
                    if fits(about[:count]):
                        return about[:count]
        return []

    by_size = sorted((s for s in segments if s.live), key=lambda s: (s.live_bytes, s.name))
    if chosen := tier(by_size, policy.fan_in):
        return chosen
    for segment in by_size:
        if (segment.dead > policy.dead_share * segment.rows or not segment.has_its_kind) and fits([segment]):
            return [segment]
    room = [s for s in by_size if fits([s, s])]
    if chosen := tier(room, 2):
        return chosen
    for count in range(len(room) - policy.segments_max + 1, 1, -1):
        if fits(room[:count]):
            return room[:count]
    return []


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 400_000), st.floats(0, 1), st.sampled_from(SegmentKind)), max_size=24),
    st.sampled_from([4, 128, 960]),
    st.sampled_from([POLICY, Policy(segments_max=3), Policy(build_memory_bytes=600 * MIB), Policy(fan_in=2)]),
)
def test_what_is_chosen(drawn: list[tuple[int, float, SegmentKind]], dimension: int, policy: Policy) -> None:
    segments = [
        shape(str(n), rows, round(rows * dead * dead), dimension=dimension, kind=kind)
        for n, (rows, dead, kind) in enumerate(drawn)
    ]
    assert [*reversed(policy.choose_merge(segments))] == plain_choice(policy, segments)


def test_many_segments_that_cannot_be_merged_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table that is large for its machine: asked for at every round, so counted by what is looked at."""
    asked = []
    built = SegmentShape.build_bytes.fget
    assert built is not None
    monkeypatch.setattr(SegmentShape, "build_bytes", property(lambda self: asked.append(self) or built(self)))
    segments = [shape(f"{n:04}", 500_000, dimension=960) for n in range(400)]
    assert Policy(segments_max=1_000).choose_merge(segments) == ()
    assert len(asked) <= 4 * 400


@pytest.mark.parametrize("seed", range(3))
def test_segments_are_few_and_rows_are_rewritten_seldom(seed: int) -> None:
    """Without limits on a build: logarithms of the rows, both."""
    lsm = Lsm(Policy(build_memory_bytes=1 << 50, segments_max=1_000), 128, seed)
    for flushes in range(1, 600):
        lsm.flush(lsm.random.randint(8_000, 20_000))
        tiers = 1 + math.log(flushes, 4)
        assert len(lsm.segments) <= 4 * tiers
        assert lsm.written_rows <= lsm.flushed_rows * (2 + tiers)
    lsm.check()


@pytest.mark.parametrize("dimension", [128, 960])
def test_a_table_that_is_large_for_its_machine(dimension: int) -> None:
    """Of rows for a hundred of the largest segments and more: each is written about as often as if builds were free."""
    policy = Policy(build_memory_bytes=480 * MIB)
    lsm = Lsm(policy, dimension)
    rows = max(1, policy.flush_bytes // (100 + 4 * dimension))
    for _ in range(250):
        lsm.flush(rows)
    assert lsm.written_rows <= 6 * lsm.flushed_rows
    largest = max(segment.rows for segment in lsm.segments)
    assert policy.is_full(max(lsm.segments, key=lambda s: s.rows))
    assert len(lsm.segments) <= 2 * lsm.flushed_rows / largest + 4 * policy.fan_in
    assert sum(policy.is_full(s) for s in lsm.segments) >= len(lsm.segments) - 4 * policy.fan_in


def test_updates_are_paid_for_by_the_dead() -> None:
    """Rows replaced over and over: as many segments, and a bounded number of rewritings for each."""
    lsm = Lsm(Policy(build_memory_bytes=1 << 50), 128)
    for _ in range(40):
        lsm.flush(16_000)
    for _ in range(400):
        total = sum(s.live for s in lsm.segments)
        share = 16_000 / total
        lsm.segments = [replace(s, dead=min(s.rows, s.dead + round(s.live * share))) for s in lsm.segments]
        lsm.flush(16_000)
    lsm.check()
    assert len(lsm.segments) <= 16
    assert lsm.written_rows <= 9 * lsm.flushed_rows
    assert sum(s.rows for s in lsm.segments) <= 1.34 * sum(s.live for s in lsm.segments)


def test_what_a_build_cannot_hold_is_left() -> None:
    needed = shape("", 50_000)
    least = next(m for m in range(MIB, 1 << 30, MIB) if Policy(build_memory_bytes=m).build_need_bytes([needed]) <= m)
    policy = Policy(build_memory_bytes=least)
    assert policy.choose_merge([shape(str(n), 12_000) for n in range(4)])
    many = [shape(str(n), 15_000) for n in range(4)]
    assert len(policy.choose_merge(many)) == 3, "four are a tier, of which three fit"
    assert policy.choose_merge(many[:3]) == ()
    full = [shape(str(n), 26_000) for n in range(100)]
    assert policy.choose_merge(full) == (), "of no two is one made, and so many there may be"
    assert policy.choose_merge([*full, shape("s", 12_000)]) == ()
    assert policy.choose_merge([*full, *many, shape("s", 4_000)]) == policy.choose_merge([*many, shape("s", 4_000)])
    assert len(policy.choose_merge([*many, shape("s", 4_000)])) == 4
    lone = shape("x", 60_000, dead=1_000)
    assert policy.choose_merge([lone]) == ()
    assert policy.choose_merge([replace(lone, dead=30_000)]) == (replace(lone, dead=30_000),)


def test_beside_a_large_build_small_ones_go_on() -> None:
    large = [shape(f"l{n}", 200_000) for n in range(4)]
    small = shape("s", 16_000, kind=SegmentKind.FLAT)
    assert set(POLICY.choose_merge([*large, small])) == set(large)
    assert POLICY.choose_merge([*large, small], 448 * MIB) == (small,)
    assert POLICY.choose_merge(large, 448 * MIB) == ()


def test_kinds_and_the_dead() -> None:
    flat = shape("flat", 15_000, kind=SegmentKind.FLAT)
    assert POLICY.choose_merge([flat]) == (flat,)
    assert POLICY.choose_merge([shape("codes", 15_000)]) == ()
    codes = shape("codes", 30_000, kind=SegmentKind.CODES)
    assert POLICY.choose_merge([codes]) == (codes,)
    assert POLICY.choose_merge([replace(codes, dead=7_500)]) == (replace(codes, dead=7_500),)
    graph = shape("graph", 30_000, dead=7_500)
    assert graph.has_its_kind, "a graph of few rows is better than it need be"
    assert POLICY.choose_merge([graph]) == ()
    assert POLICY.choose_merge([replace(graph, dead=7_501)])
    assert POLICY.choose_merge([replace(graph, dead=30_000)]) == (), "what is dead altogether needs no build"
    assert POLICY.choose_merge([]) == ()
    bare = SegmentShape("bare", 10, 0, 1_000, 1_000)
    assert bare.has_its_kind
    assert POLICY.choose_merge([bare] * 3) == ()


def test_when_a_buffer_is_flushed() -> None:
    assert not POLICY.is_flush_due(POLICY.flush_bytes - 1, POLICY.flush_age_s - 1)
    assert POLICY.is_flush_due(POLICY.flush_bytes, 0.0)
    assert POLICY.is_flush_due(1, POLICY.flush_age_s)
