"""How a segment's codes are made: alike along all dimensions, or along the directions of a basis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import CENTRE_BYTES, FACTOR_BYTES, Basis, CodePart, Quantizer
from lutra.model.indexes import Metric

PADDED_DIMENSION_MULTIPLE: Final = 64
"""As in native/codes/rotation.h."""
STRIDE_MULTIPLE: Final = 32
"""Elements of a direction in memory, as in native/codes/code_basis.cpp."""
CENTRES_MAX: Final = 65_536
STEP_MIN: Final = 1e-7
STEP_MAX: Final = 1e6
SPREAD_MIN: Final = 1e-30
"""As in native/codes/code_basis.h."""


@dataclass(frozen=True, slots=True)
class CodeFormat:
    """Of ``bits`` a dimension, or, where these are 0, of the ``parts`` of a basis."""

    dimension: int
    bits: int
    parts: tuple[CodePart, ...] = ()
    spread: float = 0.0
    """Of a basis: `lutra.kernels.codes.Basis`."""
    centres: int = 1
    """That residuals are against; several only without a basis (`lutra.vectors.code_centres`)."""

    @property
    def record_bytes(self) -> int:
        """Of a code and its factors."""
        if self.bits == 0:
            return sum(part.bits * part.dimensions for part in self.parts) // 8 + FACTOR_BYTES
        padded = -(-self.dimension // PADDED_DIMENSION_MULTIPLE) * PADDED_DIMENSION_MULTIPLE
        return padded * self.bits // 8 + FACTOR_BYTES + CENTRE_BYTES * self.has_centres

    @property
    def coded_dimension(self) -> int:
        """Elements of a vector that are coded."""
        return self.directions or -(-self.dimension // PADDED_DIMENSION_MULTIPLE) * PADDED_DIMENSION_MULTIPLE

    @property
    def has_centres(self) -> bool:
        """Whether they are several."""
        return self.centres > 1

    @property
    def directions(self) -> int:
        """Of the basis; 0: there is none."""
        return sum(part.dimensions for part in self.parts)

    @property
    def shared_bytes(self) -> int:
        """What a quantizer's directions, or its centres, take in memory."""
        if self.has_centres:
            return 4 * self.centres * -(-self.dimension // PADDED_DIMENSION_MULTIPLE) * PADDED_DIMENSION_MULTIPLE
        return 2 * self.directions * -(-self.dimension // STRIDE_MULTIPLE) * STRIDE_MULTIPLE

    def widths(self) -> Iterator[CodeFormat]:
        """This one, and those that its codes can be reduced to, ever shorter."""
        yield self
        bits = 0 if self.has_centres else self.bits // 2
        while bits >= 1:
            yield CodeFormat(self.dimension, bits)
            bits //= 2

    def quantizer(
        self,
        metric: Metric,
        centroid: NDArray[np.float32],
        seed: int,
        basis: NDArray[np.int16],
        centres: NDArray[np.float32] | None = None,
    ) -> Quantizer:
        """For a segment's vectors; ``basis`` int16 [directions or more, dimension] is its, and so is
        ``centres`` float32 [centres, dimension], where it has several.

        :raises ValueError: directions or centres make no sense.
        """
        if self.has_centres:
            if centres is None or centres.shape != (self.centres, self.dimension) or not np.isfinite(centres).all():
                raise ValueError(f"these are not {self.centres} centres of {self.dimension} dimensions, or not finite")
            return Quantizer.of_centres(self.bits, metric, centres, seed)
        if self.bits:
            return Quantizer(self.dimension, self.bits, metric, centroid, seed)
        directions = np.ascontiguousarray(basis[: self.directions])
        return Quantizer.of_basis(Basis(directions, self.parts, self.spread), metric, centroid, seed)

    def to_json(self) -> dict[str, Any]:
        if self.bits:
            return {"bits": self.bits} | ({"centres": self.centres} if self.has_centres else {})
        parts = [[part.bits, part.dimensions, part.step] for part in self.parts]
        return {"bits": 0, "parts": parts, "spread": self.spread}

    @classmethod
    def from_json(cls, dimension: int, document: dict[str, Any]) -> CodeFormat:
        """What `to_json` gave. Raises KeyError, TypeError or ValueError."""
        bits = int(document["bits"])
        if bits:
            if bits not in (1, 2, 4, 8):
                raise ValueError(f"codes of {bits} bits")
            centres = int(document.get("centres", 1))
            if not 1 <= centres <= CENTRES_MAX:
                raise ValueError(f"codes of {centres} centres")
            return cls(dimension, bits, centres=centres)
        parts = tuple(CodePart(int(bits), int(count), float(step)) for bits, count, step in document["parts"])
        widths, spread = [part.bits for part in parts], float(document["spread"])
        if not parts or not set(widths) <= {1, 2, 4, 8} or widths != sorted(set(widths), reverse=True):
            raise ValueError(f"codes of parts {parts}")
        if not all(part.dimensions > 0 and part.dimensions % PADDED_DIMENSION_MULTIPLE == 0 for part in parts):
            raise ValueError(f"codes of parts {parts}")
        if not all(STEP_MIN <= part.step <= STEP_MAX for part in parts) or not SPREAD_MIN <= spread <= 1:
            raise ValueError(f"codes of parts {parts} with a spread of {spread}")
        return cls(dimension, 0, parts, spread)
