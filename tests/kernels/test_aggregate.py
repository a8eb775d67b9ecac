"""Sums, extremes, counts and numbers of keys against plain Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.aggregate import double_sums, extremes, group_counts, long_sums, number_keys

GROUPS = 3
LONGS = st.integers(-(2**63), 2**63 - 1)
DOUBLES = st.floats(-1e300, 1e300)


def pairs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[Any, int]]]:
    return st.lists(st.tuples(values, st.integers(0, GROUPS - 1)), max_size=40)


def arrays(found: list[tuple[Any, int]], dtype: type, is_grouped: bool) -> tuple[Any, Any, int]:
    values = np.array([value for value, _ in found], dtype)
    return (
        values,
        np.array([group for _, group in found], np.int32) if is_grouped else None,
        GROUPS if is_grouped else 1,
    )


def by_group(found: list[tuple[Any, int]], is_grouped: bool) -> list[list[Any]]:
    if not is_grouped:
        return [[value for value, _ in found]]
    return [[value for value, own in found if own == group] for group in range(GROUPS)]


@given(pairs(DOUBLES), st.booleans())
def test_sums_of_doubles_lose_nothing_but_the_last_bit(found: list[tuple[float, int]], is_grouped: bool) -> None:
    sums, rests = double_sums(*arrays(found, np.float64, is_grouped))
    for total, rest, values in zip(sums.tolist(), rests.tolist(), by_group(found, is_grouped), strict=True):
        # Twice as many digits as a double has, of the greatest value there was.
        assert math.isclose(total + rest, math.fsum(values), rel_tol=1e-15, abs_tol=1e-28 * sum(map(abs, values)))


def test_infinite_sums() -> None:
    sums, _ = double_sums(np.array([math.inf, 1.0, -math.inf, math.inf]), np.array([0, 0, 1, 2], np.int32), 4)
    assert sums.tolist() == [math.inf, -math.inf, math.inf, 0.0]


@given(pairs(LONGS), st.booleans())
def test_sums_of_whole_numbers_are_exact(found: list[tuple[int, int]], is_grouped: bool) -> None:
    highs, lows = long_sums(*arrays(found, np.int64, is_grouped))
    expected = [sum(values) for values in by_group(found, is_grouped)]
    assert [(high << 64) + low for high, low in zip(highs.tolist(), lows.tolist(), strict=True)] == expected


@given(pairs(LONGS) | pairs(st.floats(allow_nan=False)), st.booleans())
def test_extremes_and_counts(found: list[tuple[Any, int]], is_grouped: bool) -> None:
    is_float = bool(found) and isinstance(found[0][0], float)
    values, groups, count = arrays(found, np.float64 if is_float else np.int64, is_grouped)
    least, most = extremes(values, groups, count)
    ends = (math.inf, -math.inf) if is_float else (2**63 - 1, -(2**63))
    expected = by_group(found, is_grouped)
    assert least.tolist() == [min(own, default=ends[0]) for own in expected]
    assert most.tolist() == [max(own, default=ends[1]) for own in expected]
    if groups is not None:
        assert group_counts(groups, count).tolist() == list(map(len, expected))


@given(st.lists(LONGS | st.integers(0, 9), max_size=60))
def test_keys_are_numbered_as_they_come(keys: list[int]) -> None:
    numbers, distinct = number_keys(np.array(keys, np.int64))
    assert distinct.tolist() == list(dict.fromkeys(keys))
    assert [int(distinct[number]) for number in numbers] == keys


def test_many_keys() -> None:
    keys = np.random.default_rng(1).integers(0, 50_000, 200_000) << 20
    numbers, distinct = number_keys(keys)
    assert len(distinct) == len(np.unique(keys))
    assert np.array_equal(distinct[numbers], keys)


@pytest.mark.parametrize("groups", [[0, 3], [0, -1]])
def test_a_group_that_is_none_is_refused(groups: list[int]) -> None:
    with pytest.raises(IndexError):
        double_sums(np.zeros(2), np.array(groups, np.int32), 3)
    with pytest.raises(IndexError):
        group_counts(np.array(groups, np.int32), 3)


def test_values_and_groups_go_together() -> None:
    with pytest.raises(ValueError, match="equally many"):
        long_sums(np.zeros(2, np.int64), np.zeros(3, np.int32), 1)
    with pytest.raises(ValueError, match="belong to a group"):
        long_sums(np.zeros(2, np.int64), None, 0)
