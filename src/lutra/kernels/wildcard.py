"""Which strings are like a pattern (``native/common/wildcard.h``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native


def like(strings: list[bytes], pattern: bytes, count: int | None = None) -> NDArray[np.bool_]:
    """bool[count]: which of the first ``count`` strings (None: of all), in UTF-8, are like ``pattern``.

    In it ``*`` stands for any characters, none too, and ``?`` for one. The GIL is released: nothing may be taken from
    the list meanwhile. At most about as many steps a string as it has bytes times those of the pattern.
    """
    return _native.like(strings, len(strings) if count is None else count, pattern)


def ends_with(strings: list[bytes], suffix: bytes, count: int | None = None) -> NDArray[np.bool_]:
    """bool[count]: which of the first ``count`` strings (None: of all) end with ``suffix``. As `like` otherwise."""
    return _native.ends_with(strings, len(strings) if count is None else count, suffix)


def literal_prefix(pattern: str) -> str:
    """What every string that is like ``pattern`` begins with."""
    ends = [at for at in (pattern.find("*"), pattern.find("?")) if at >= 0]
    return pattern[: min(ends, default=len(pattern))]


def literals(pattern: str) -> list[str]:
    """What stands between the signs of a pattern, in order, but where that is nothing."""
    return [piece for piece in pattern.replace("?", "*").split("*") if piece]
