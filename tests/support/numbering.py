"""The numbers that documents of several parts get in one segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = Sequence[npt.NDArray[np.int32]]
"""By part: the new number of each document, -1 where it is left out."""


def one_after_the_other(parts: Sequence[Any]) -> Numbers:
    """As the parts follow each other, each of a ``size``."""
    begins = np.cumsum([0, *(part.size for part in parts)])
    places = zip(parts, begins[:-1], strict=True)
    return [np.arange(begin, begin + part.size, dtype=np.int32) for part, begin in places]
