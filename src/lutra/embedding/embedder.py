"""The seam: whatever turns texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lutra.model.errors import LutraError


class EmbeddingError(LutraError):
    """The model, or the service that runs it, gave no vectors."""


class Embedder(Protocol):
    """Turns texts into vectors whose nearness is likeness of meaning."""

    @property
    def name(self) -> str:
        """Says which model this is; vectors of different names do not compare."""

    @property
    def dimension(self) -> int:
        """The length of every vector."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension]. Raises EmbeddingError."""
