"""How the memory of a process is shared out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.index.builds.policy import BUILD_BYTES_MIN
from lutra.instance.memory_plan import LATER_BYTES, MemoryPlan, size_of
from lutra.model.errors import ParameterInvalid

MIB = 1024 * 1024
TAKEN_BYTES = 62 * MIB


@given(st.integers(229 * MIB, 1 << 40))
def test_all_parts_are_the_limit(limit_bytes: int) -> None:
    plan = MemoryPlan.of(limit_bytes, TAKEN_BYTES)
    assert limit_bytes - MIB < sum(plan.shares.values()) <= limit_bytes
    assert plan.build_bytes >= BUILD_BYTES_MIN
    assert min(plan.shares.values()) >= 8 * MIB
    assert plan.process_bytes == TAKEN_BYTES + LATER_BYTES


@given(st.integers(229 * MIB, 1 << 40))
def test_with_more_memory_no_part_has_less(limit_bytes: int) -> None:
    less, more = (MemoryPlan.of(each, TAKEN_BYTES) for each in (limit_bytes, limit_bytes + 64 * MIB))
    # Builds have a least share: segments may have a little less where it begins to count less.
    assert all(more.shares[name] >= less.shares[name] - 4 * MIB for name in less.shares)


def test_parts_that_were_said() -> None:
    plan = MemoryPlan.of(2 << 30, TAKEN_BYTES, segments_bytes=700 * MIB)
    assert plan.segments_bytes == 700 * MIB
    assert sum(plan.shares.values()) <= 2 << 30
    plan = MemoryPlan.of(2 << 30, TAKEN_BYTES, build_bytes=500 * MIB)
    assert plan.build_bytes == 500 * MIB
    with pytest.raises(ParameterInvalid, match="for segments and builds together"):
        MemoryPlan.of(1 << 30, TAKEN_BYTES, segments_bytes=900 * MIB)
    with pytest.raises(ParameterInvalid, match="for segments and builds together"):
        MemoryPlan.of(1 << 30, TAKEN_BYTES, segments_bytes=300 * MIB, build_bytes=600 * MIB)


def test_too_little_says_what_would_do() -> None:
    with pytest.raises(ParameterInvalid, match="this process takes 62 MiB before it does anything; give it 229 MiB"):
        MemoryPlan.of(128 * MIB, TAKEN_BYTES)
    assert MemoryPlan.of(229 * MIB, TAKEN_BYTES).limit_bytes == 229 * MIB


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("512MiB", 512 * MIB), ("2GiB", 2 << 30), ("1.5g", 3 << 29), ("25%", 250), (" 100 kb ", 102_400), ("77", 77)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert size_of(text, 1_000) == size_bytes


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "0%", "101%", "1 PiB", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no si?[zh]"):
        size_of(text, 1_000)
