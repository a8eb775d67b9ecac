"""From distances to scores, larger is nearer (protocol facts, 4.3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.model.indexes import Metric


def similarity(distances: npt.NDArray[np.float32], metric: Metric) -> npt.NDArray[np.float64]:
    """EUCLIDEAN ``1 / (1 + d²)``, COSINE ``(1 + cos) / 2``, DOT_PRODUCT ``(1 + dot) / 2``.

    ``distances`` as `lutra.kernels.distance` gives them: squared, one minus the cosine, minus the dot product.
    """
    wide = distances.astype(np.float64)
    if metric is Metric.EUCLIDEAN:
        return 1.0 / (1.0 + wide)
    if metric is Metric.COSINE:
        return (2.0 - wide) / 2.0
    return (1.0 - wide) / 2.0
