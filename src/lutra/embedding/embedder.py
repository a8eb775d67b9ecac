"""The seams: whatever turns texts or pictures into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from lutra.model.errors import LutraError

ModelKind = Literal["text", "picture"]
"""What a model makes vectors of."""


class EmbeddingError(LutraError):
    """The model, or the service that runs it, gave no vectors."""


class ModelUnusable(EmbeddingError):
    """The model fails whatever it is given: the service refuses the key, say, or vectors have another dimension."""


class ModelNotInstalled(ModelUnusable, ImportError):
    """The library that runs the model is not there; the message says what to install."""


class EmbeddingBusy(EmbeddingError):
    """A service gave no vectors now, and may later: it is overloaded, or cannot be reached."""

    code = "OTSServerBusy"

    def __init__(self, message: str, pause_s: float | None = None) -> None:
        """``pause_s``: so long it asks to be left alone; None where it does not say."""
        super().__init__(message)
        self.pause_s = pause_s


@runtime_checkable
class TextEmbedder(Protocol):
    """Turns texts into vectors whose nearness is likeness of meaning. Thread-safe."""

    @property
    def name(self) -> str:
        """Says which model this is; vectors of different names do not compare."""

    @property
    def dimension(self) -> int:
        """The length of every vector."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension]: of what is to be found. Raises EmbeddingError."""

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension]: of what is looked for; some models tell it apart. Raises EmbeddingError."""


@runtime_checkable
class PictureEmbedder(Protocol):
    """Turns pictures into vectors whose nearness is likeness of what is seen. Thread-safe."""

    @property
    def name(self) -> str:
        """Says which model this is; vectors of different names do not compare."""

    @property
    def dimension(self) -> int:
        """The length of every vector."""

    def embed(self, pictures: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """float32 [len(pictures), dimension]; a picture is a file's content, PNG or JPEG say. Raises EmbeddingError."""


@runtime_checkable
class MultimodalEmbedder(PictureEmbedder, Protocol):
    """A model of pictures that gives texts vectors of the same space: a picture is found by words."""

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension]. Raises EmbeddingError."""


Embedder = TextEmbedder | PictureEmbedder


@dataclass(frozen=True, slots=True)
class Batching:
    """How many a model is best given at once: items, and characters of texts or bytes of pictures, where that is less;
    ``threads``: and by how many calls at a time."""

    items: int = 64
    size: int = 200_000
    threads: int = 1


_OF_PICTURES: Final = Batching(16, 16 * 1024 * 1024)


def batching_of(embedder: Embedder) -> Batching:
    """What the model says itself, in ``batching``, else what does no harm."""
    said = getattr(embedder, "batching", None)
    if isinstance(said, Batching):
        return said
    return Batching() if kind_of(embedder) == "text" else _OF_PICTURES


def kind_of(embedder: Embedder) -> ModelKind:
    """A model of texts embeds queries, a model of pictures doesn't."""
    return "text" if isinstance(embedder, TextEmbedder) else "picture"
