"""What a search found against what there was to find."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def recall(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    """The share of the true neighbours [q, k] that are among those found [q, k]; 1 where there are none."""
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
    return hits / truth.size if truth.size else 1.0
