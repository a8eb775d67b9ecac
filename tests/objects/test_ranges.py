"""Joining ranges: everything wanted is asked for once, in few requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lutra.objects.ranges import join_ranges, pick_range

DATA = bytes(i * 31 % 256 for i in range(2_000))
RANGES = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), max_size=12)


@given(RANGES, st.integers(0, 300), st.integers(1, 500))
def test_what_is_picked_is_what_was_wanted(ranges: list[tuple[int, int]], gap_bytes: int, most: int) -> None:
    joined = join_ranges(ranges, gap_bytes, most)
    pieces = [(offset, memoryview(DATA)[offset : offset + length]) for offset, length in joined]
    assert [pick_range(pieces, wanted) for wanted in ranges] == [DATA[at : at + length] for at, length in ranges]
    assert all(0 < length <= most for _, length in joined)
    ends = [offset + length for offset, length in joined]
    assert all(end <= begin for end, (begin, _) in zip(ends, joined[1:], strict=False)), "nothing is read twice"
    wanted_bytes = len({at for offset, length in ranges for at in range(offset, offset + length)})
    assert sum(length for _, length in joined) <= wanted_bytes + gap_bytes * max(len(ranges) - 1, 0)


def test_ranges_are_joined_up_to_the_gap() -> None:
    assert join_ranges([(0, 10), (20, 10), (41, 10)], 10, 100) == [(0, 30), (41, 10)]
    assert join_ranges([(0, 250)], 0, 100) == [(0, 100), (100, 100), (200, 50)]
    assert join_ranges([(5, 0)], 0, 100) == []
