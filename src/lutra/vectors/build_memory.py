"""How much a build takes for a while, beside what it needs for each row: less where it has little memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_MIB: Final = 1024 * 1024
SAMPLE_BYTES_MAX: Final = 64 * _MIB
"""Of vectors that are copied together: those a basis is found from (16,384 rows at 960 dimensions), or all of a few."""
_SAMPLE_BYTES_MIN: Final = 2 * _MIB
_PART: Final = 16

_sample_bytes: ContextVar[int] = ContextVar("sample_bytes", default=SAMPLE_BYTES_MAX)


def sample_bytes_of(memory_bytes: int) -> int:
    """For a build that may take so much."""
    return max(_SAMPLE_BYTES_MIN, min(SAMPLE_BYTES_MAX, memory_bytes // _PART))


@contextmanager
def building_within(sample_bytes: int) -> Iterator[None]:
    """Until the block ends this thread's builds copy no more than so much at a time, and keep no pages of mapped
    vectors that they are done with."""
    token = _sample_bytes.set(sample_bytes)
    try:
        yield
    finally:
        _sample_bytes.reset(token)


def sample_bytes() -> int:
    """Of the build that is under way."""
    return _sample_bytes.get()
