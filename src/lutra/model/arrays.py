"""The arrays that documents are told by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""bool[documents]: which of them."""
Docs = npt.NDArray[np.int32]
"""int32[n]: numbers of documents."""
Matrix = npt.NDArray[np.float32]
"""float32[n, dimension]: vectors."""
Digests = npt.NDArray[np.uint64]
"""uint64[documents]: a hash of all values of each."""
