"""Rings keep the last values of series that come and go, and no more memory than said."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.console.history import SERIES_MAX, Ring
from lutra.console.latencies import Counts

TOLD = st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 99), max_size=4), max_size=40)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 8), TOLD)
def test_a_ring_has_what_a_list_would(places: int, told: list[dict[str, int]]) -> None:
    ring = Ring(places)
    for number, values in enumerate(told):
        ring.add(float(number), values)
    window = ring.window()
    kept = told[-places:]
    assert window.times_s.tolist() == [float(n) for n in range(len(told) - len(kept), len(told))]
    assert set(window.series) == {name for values in kept for name in values}
    for name, series in window.series.items():
        expected = [values.get(name, math.nan) for values in kept]
        assert np.array_equal(series, np.array(expected, np.float32), equal_nan=True)


def test_memory_is_bounded_whatever_comes() -> None:
    ring = Ring(places=50, series_max=30)
    random.seed(1)
    for number in range(500):
        ring.add(number, {f"s{random.randrange(10_000)}": 1.0 for _ in range(20)})
    assert len(ring.window().series) <= 30
    assert ring.size_bytes <= 50 * (8 + 4 * 30)
    for number in range(500, 550):
        ring.add(number, {})
    assert ring.window().series == {}, "what has no value left is let go of"
    ring.add(550, {"new": 2.0})
    assert ring.window("n").series["new"][-1] == 2
    assert 720 * (8 + 4 * SERIES_MAX) * 2 < 6_000_000, "two such rings of a server"


def test_only_series_of_a_prefix() -> None:
    ring = Ring(3)
    ring.add(1.0, {"a/x": 1, "a/y": 2, "b/x": 3})
    assert set(ring.window("a/").series) == {"a/x", "a/y"}


BOUNDS = (0.001, 0.01, 0.1, math.inf)


def counts_of(seconds: list[float]) -> Counts:
    places = np.searchsorted(BOUNDS, seconds)
    return Counts(BOUNDS, np.bincount(places, minlength=len(BOUNDS)).tolist())


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_quantiles_lie_between_the_bounds_around_the_true_ones(share: float) -> None:
    seconds = np.random.default_rng(0).lognormal(-5, 1.2, 5_000)
    seconds = seconds[seconds < 0.1]
    told = counts_of(seconds.tolist()).quantile_ms(share) / 1e3
    true = float(np.quantile(seconds, share))
    at = int(np.searchsorted(BOUNDS, true))
    assert (BOUNDS[at - 1] if at else 0) <= told <= BOUNDS[at]


def test_quantiles_at_the_edges() -> None:
    assert math.isnan(counts_of([]).quantile_ms(0.5))
    assert counts_of([5.0]).quantile_ms(0.99) == 100, "beyond the last bound nothing is known but that"
    assert counts_of([0.005] * 10).quantile_ms(0.5) == pytest.approx(5.5)
    since = counts_of([0.005] * 10).since(counts_of([0.005] * 4))
    assert (since.total, since.plus(since).total) == (6, 12)
