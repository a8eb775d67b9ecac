"""Vectors from a sentence-transformers model on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import Batching, EmbeddingError, ModelNotInstalled


class SentenceTransformerEmbedder:
    """Runs a model of the sentence-transformers library, by its name or folder. Implements ``TextEmbedder``.

    The model is on this machine, in a folder or where the library keeps what it has downloaded before: nothing is
    downloaded. ``device`` is PyTorch's (``"cpu"``, ``"cuda"``); None lets the library choose. Vectors have length 1.
    Raises ModelNotInstalled, which is an ImportError, where sentence-transformers is not installed, EmbeddingError
    where the model cannot be loaded.
    """

    def __init__(self, model: str, *, device: str | None = None, batch_texts: int = 32) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ModelNotInstalled(
                "SentenceTransformerEmbedder needs sentence-transformers: pip install 'lutra[sentence-transformers]'"
            ) from error
        try:
            self._model = SentenceTransformer(model, device=device, local_files_only=True)
        except Exception as error:  # the library raises what its many loaders raise
            raise EmbeddingError(f"cannot load the model {model!r}: {error}") from error
        self._name = model
        self._batch_texts = batch_texts
        self.batching = Batching(4 * batch_texts)
        prompts = getattr(self._model, "prompts", None) or {}
        self._query_prompt: str | None = prompts.get("query")
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

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `embed`, with the words that the model puts before a question, where it has some."""
        if not texts:
            return np.empty((0, self._dimension), dtype=np.float32)
        return self._encode(texts, self._query_prompt)

    def _encode(self, texts: Sequence[str], prompt: str | None = None) -> npt.NDArray[np.float32]:
        try:
            vectors = self._model.encode(
                list(texts),
                prompt=prompt,
                batch_size=self._batch_texts,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        except Exception as error:
            raise EmbeddingError(f"the model {self._name!r} failed: {error}") from error
        return np.ascontiguousarray(vectors, dtype=np.float32)


def opened(argument: str, dimension: int | None) -> SentenceTransformerEmbedder:
    """The model of that name, or in that folder."""
    return SentenceTransformerEmbedder(argument)
