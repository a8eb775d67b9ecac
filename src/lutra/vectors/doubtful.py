"""Rows that a segment's codes tell badly, and what is to be done with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Measured(NamedTuple):
    """What is known of a segment's searches once it is built."""

    calibration: Mapping[str, Any]
    """Becomes `SegmentFile.calibration`. JSON."""
    exact: NDArray[np.int64]
    """Rows, ascending, that are to be kept exact beside the codes; `EXACT_MAX` at most."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Rows that codes tell less well than they tell others; ascending."""

    raised: NDArray[np.int64]
    """Their bound had to be made wider: they may not be found first."""
    hardly: NDArray[np.int64]
    """Codes say next to nothing of them."""


NOTHING_DOUBTFUL: Final = Doubtful(np.empty(0, np.int64), np.empty(0, np.int64))
