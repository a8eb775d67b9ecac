"""`lutra.segments.kept_masks`."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lutra.fields.turned_masks import KEPT_MAX
from lutra.kernels.row_mask import RowMask
from lutra.segments.kept_masks import KeptMasks


def mask_of(number: int) -> RowMask:
    return RowMask.of_rows(np.array([number]), 1_000)


def test_a_filter_is_kept_from_the_second_time_on() -> None:
    kept = KeptMasks()
    assert kept.get("a") is None
    assert not kept.offer("a", mask_of(1))
    assert kept.get("a") is None
    again = mask_of(1)
    assert kept.offer("a", again)
    assert kept.get("a") is again
    assert kept.size_bytes == 1_000 // 8


def test_filters_that_come_once_push_none_out() -> None:
    kept = KeptMasks()
    for _ in range(2):
        kept.offer("often", mask_of(1))
    for number in range(1_000):
        kept.offer(number, mask_of(2))
    assert kept.get("often") is not None
    assert kept.size_bytes == 1_000 // 8


def test_a_filter_of_long_operands_is_not_kept() -> None:
    kept = KeptMasks()
    assert not any(kept.offer("long" * 2_000, mask_of(1)) for _ in range(3))
    assert kept.size_bytes == 0


@given(st.lists(st.integers(0, 2 * KEPT_MAX), max_size=200))
def test_what_is_kept_is_what_was_offered(asked: list[int]) -> None:
    kept = KeptMasks()
    for number in asked:
        mask = kept.get(number)
        if mask is None:
            kept.offer(number, mask_of(number))
        else:
            assert mask.ids().tolist() == [number]
    assert kept.size_bytes <= KEPT_MAX * 1_000 // 8
