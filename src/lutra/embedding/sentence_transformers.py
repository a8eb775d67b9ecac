"""Vectors from a sentence-transformers model on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import EmbeddingError


class SentenceTransformerEmbedder:
    """Runs a model of the sentence-transformers library, by its name or folder. Implements ``Embedder``.

    ``device`` is PyTorch's (``"cpu"``, ``"cuda"``); None lets the library choose. Vectors have length 1. Raises
    ImportError where sentence-transformers is not installed, EmbeddingError where the model cannot be loaded.
    """

    def __init__(self, model: str, *, device: str | None = None, batch_texts: int = 32) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ImportError(
                "SentenceTransformerEmbedder needs sentence-transformers: pip install 'lutra[sentence-transformers]'"
            ) from error
        try:
            self._model = SentenceTransformer(model, device=device)
        except Exception as error:  # the library raises what its many loaders raise
            raise EmbeddingError(f"cannot load the model {model!r}: {error}") from error
        self._name = model
        self._batch_texts = batch_texts
        # Asked of a vector: the method that tells has changed its name, and may not know.
        self._dimension = int(self._encode(["a text"]).shape[1])

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._dimension

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension]. Raises EmbeddingError."""
        if not texts:
            return np.empty((0, self._dimension), dtype=np.float32)
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        try:
            vectors = self._model.encode(
                list(texts),
                batch_size=self._batch_texts,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        except Exception as error:
            raise EmbeddingError(f"the model {self._name!r} failed: {error}") from error
        return np.ascontiguousarray(vectors, dtype=np.float32)
