"""Masks of rows against arrays of booleans."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.row_mask import RowMask

SIZES = st.integers(0, 500) | st.sampled_from([0, 1, 63, 64, 65, 128])
SHARES = st.floats(0, 1)
SEEDS = st.integers(0, 1_000)
TYPES = [np.int64, np.int32, np.uint32, np.uint16]


def random_bools(rows: int, share: float, seed: int) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(seed).random(rows) < share


def is_of(mask: RowMask, bools: npt.NDArray[np.bool_]) -> bool:
    """Whether all that a mask says of itself is so."""
    expected = np.flatnonzero(bools)
    return (
        (mask.rows, mask.count) == (len(bools), len(expected))
        and np.array_equal(mask.ids(), expected)
        and np.array_equal(mask.bools(), bools)
        and mask == RowMask(bools)
    )


@given(rows=SIZES, share=SHARES, seed=SEEDS)
def test_ways_to_make_one(rows: int, share: float, seed: int) -> None:
    bools = random_bools(rows, share, seed)
    ids = np.random.default_rng(seed).permutation(np.flatnonzero(bools))
    assert is_of(RowMask(bools), bools)
    assert is_of(RowMask.all(rows), np.ones(rows, bool))
    assert is_of(RowMask.none(rows), np.zeros(rows, bool))
    assert is_of(RowMask.of_bits(np.packbits(bools, bitorder="little"), rows), bools)
    for dtype in TYPES:
        assert is_of(RowMask.of_rows(ids.astype(dtype), rows), bools)


def test_bits_past_the_last_row_do_not_count() -> None:
    assert is_of(RowMask.of_bits(np.full(2, 255, np.uint8), 11), np.ones(11, bool))


@given(rows=SIZES, one=SHARES, other=SHARES, seed=SEEDS)
def test_combined(rows: int, one: float, other: float, seed: int) -> None:
    a, b = random_bools(rows, one, seed), random_bools(rows, other, seed + 1)
    assert is_of(RowMask(a) & RowMask(b), a & b)
    assert is_of(RowMask(a) | RowMask(b), a | b)
    assert is_of(RowMask(a) - RowMask(b), a & ~b)
    assert (RowMask(a) == RowMask(b)) == np.array_equal(a, b)


@given(rows=SIZES, seed=SEEDS, masks=st.integers(0, 20), needed=st.integers(0, 22))
def test_at_least(rows: int, seed: int, masks: int, needed: int) -> None:
    many = [random_bools(rows, 0.4, seed + number) for number in range(masks)]
    expected = np.sum(many, axis=0, dtype=int) >= needed if many else np.full(rows, needed == 0)
    assert is_of(RowMask.at_least(needed, [RowMask(one) for one in many], rows), expected)


@given(rows=SIZES, share=SHARES, seed=SEEDS, more=st.integers(0, 130))
def test_changed(rows: int, share: float, seed: int, more: int) -> None:
    bools = random_bools(rows, share, seed)
    mask = RowMask(bools)
    ids = np.random.default_rng(seed).integers(0, max(rows, 1), min(rows, 30))
    with_them, without_them = bools.copy(), bools.copy()
    with_them[ids], without_them[ids] = True, False
    assert is_of(mask.plus(ids), with_them)
    assert is_of(mask.minus(ids), without_them)
    assert is_of(mask.extended(more), np.concatenate([bools, np.ones(more, bool)]))
    assert is_of(mask.turned(ids), bools[ids])
    parents = np.random.default_rng(seed).integers(0, max(rows, 1), rows).astype(np.int32)
    held = np.zeros(rows + more, bool)
    held[parents[bools]] = True
    assert is_of(mask.gathered(parents, rows + more), held)
    assert np.array_equal(mask.has(ids), bools[ids])
    assert is_of(mask, bools), "it is as it was"


@given(rows=SIZES, share=SHARES, seed=SEEDS, most=st.integers(0, 600))
def test_chosen(rows: int, share: float, seed: int, most: int) -> None:
    bools = random_bools(rows, share, seed)
    mask, ids = RowMask(bools), np.flatnonzero(bools)
    assert np.array_equal(mask.first(most), ids[:most])
    assert np.array_equal(mask.first(most, True), ids[::-1][:most])
    sample = mask.sample(most).tolist()
    assert len(sample) <= most
    assert set(sample) <= set(ids.tolist())
    assert sample == sorted(sample)
    assert not most or not len(ids) or sample


def test_what_is_no_row_of_booleans_is_refused() -> None:
    for wrong in (np.ones(3, np.uint8), np.ones((3, 3), bool), np.ones(6, bool)[::2]):
        with pytest.raises(TypeError):
            RowMask(wrong)


def test_what_does_not_fit_is_refused() -> None:
    for combine in (operator.and_, operator.or_, operator.sub):
        with pytest.raises(ValueError, match="different numbers of rows"):
            combine(RowMask.all(3), RowMask.all(4))
    with pytest.raises(ValueError, match="different numbers of rows"):
        RowMask.at_least(1, [RowMask.all(3)], 4)
    with pytest.raises(ValueError, match="bits"):
        RowMask.of_bits(np.zeros(1, np.uint8), 9)
    with pytest.raises(ValueError, match="one row for each"):
        RowMask.all(3).gathered(np.zeros(2, np.int32), 5)
    calls: list[Any] = [
        lambda ids: RowMask.all(1).gathered(ids, 3),
        RowMask.all(3).plus,
        RowMask.all(3).has,
        RowMask.all(3).turned,
        lambda ids: RowMask.of_rows(ids, 3),
    ]
    for call in calls:
        for row in (3, -1):
            with pytest.raises(IndexError, match="is none of the mask's"):
                call(np.array([row]))
        with pytest.raises(TypeError):
            call(np.array([0.0]))
