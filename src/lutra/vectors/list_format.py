"""How a segment's lists are kept (design note 0048): an item a list, in the order of their rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import Quantizer
from lutra.kernels.lists import BuiltLists, Lists

ROWS_PER_LIST: Final = 64
"""On average. Of 200,000 x 128, lists of 62 rows have to cover 13 % of them for recall .95; larger ones more."""
PLACE_BYTES: Final = 12
"""Of a list's first row, its radius and its spread."""


@dataclass(frozen=True, slots=True)
class ListFormat:
    """Of ``count`` lists, whose centroids are in steps of ``step``."""

    count: int
    step: float

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "step": self.step}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ListFormat:
        """What `to_json` gave. Raises KeyError, TypeError or ValueError."""
        count, step = int(document["count"]), float(document["step"])
        if count < 1 or not (math.isfinite(step) and step >= 0):
            raise ValueError(f"{count} lists of step {step}")
        return cls(count, step)


def list_items(built: BuiltLists) -> NDArray[np.uint8]:
    """uint8 [lists, item bytes]: int8 [m] centroid, uint32 first row, float32 radius, float32 spread."""
    count = len(built.radii)
    first = np.ascontiguousarray(built.offsets[:-1], "<u4").view(np.uint8).reshape(count, 4)
    lengths = np.ascontiguousarray(np.stack([built.radii, built.spreads], axis=1), "<f4").view(np.uint8)
    return np.concatenate([built.centroids.view(np.uint8), first, lengths], axis=1)


def lists_of(items: NDArray[np.uint8], rows: int, step: float, quantizer: Quantizer) -> Lists:
    """Those of a segment of ``rows``. Raises ValueError where they make no sense."""
    size = items.shape[1] - PLACE_BYTES
    first = np.ascontiguousarray(items[:, size : size + 4]).view("<u4")[:, 0]
    radii, spreads = np.ascontiguousarray(np.ascontiguousarray(items[:, size + 4 :]).view("<f4").T)
    offsets = np.append(first, np.uint32(rows)).astype(np.uint32)
    return Lists(quantizer, offsets, np.ascontiguousarray(items[:, :size]).view(np.int8), step, radii, spreads)
