"""From the values of table columns to float32 vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.kernels import _native


def read_vectors(values: list[str | bytes], dimension: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """``(float32[n, dimension], bool[n] which of them are vectors)``; a row that is none is in no defined state.

    A str is a JSON array of numbers, bytes are little-endian float32 (protocol facts, 4.1). A vector has ``dimension``
    elements, all finite as float32. The GIL is released.
    """
    return _native.read_vectors(values, dimension)
