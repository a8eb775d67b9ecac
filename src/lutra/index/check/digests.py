"""Whether the documents of two parts have the same values, at some nanoseconds a value: both in the order they lie in.

The digest of a document sums a hash for each of its values, of fields and elements of arrays alike.
"""

from __future__ import annotations

import numpy as np

from lutra.fields.hashing import Hasher
from lutra.fields.kinds import kind_of
from lutra.model.arrays import Digests
from lutra.segments.part import Part


class Digester:
    """Takes digests that can be compared with each other."""

    def __init__(self) -> None:
        self._hasher = Hasher()

    def digests(self, part: Part) -> Digests:
        """uint64[size], by document; of a dead one, too. Raises as reading ``part`` does."""
        result = np.zeros(part.size, np.uint64)
        for field in part.fields.values():
            kind_of(field.field).digest(self._hasher, result, field)
        return result
