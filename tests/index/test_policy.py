"""Flush and compaction decisions, played through without any data."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.index.policy import Policy, SegmentShape, VectorsShape
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
            assert len(lsm.segments) <= policy.segments_max


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
    policy = Policy(build_memory_bytes=POLICY.build_need_bytes([shape("", 50_000)]))
    assert policy.choose_merge([shape(str(n), 12_000) for n in range(4)])
    many = [shape(str(n), 15_000) for n in range(4)]
    assert policy.choose_merge(many) == (), "three would fit, but four are a tier"
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
