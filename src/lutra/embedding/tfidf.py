"""An embedder that needs no model: word counts, weighted by rarity and folded together by how words occur together.

TF-IDF with truncated singular value decomposition, which is latent semantic analysis (Deerwester et al. 1990). It knows
only the words of the texts it was fitted to.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.words import words
from lutra.model.errors import Corruption, ParameterInvalid

_FORMAT: Final = "lutra-tfidf"
_VERSION: Final = 1
_WORDS_MAX: Final = 50_000
_TEXTS_WITH_WORD_MIN: Final = 2
_POWER_ITERATIONS: Final = 4
_SINGULAR_MIN: Final = 1e-6


class TfidfEmbedder:
    """Unit vectors of word counts. Made by :meth:`fit` or :meth:`load`; implements ``TextEmbedder``.

    A text without a known word has the zero vector.
    """

    def __init__(
        self, vocabulary: Sequence[str], rarity: npt.NDArray[np.float32], folding: npt.NDArray[np.float32]
    ) -> None:
        """``rarity`` float32 [words]: inverse document frequencies; ``folding`` float32 [words, dimension]."""
        self._vocabulary = tuple(vocabulary)
        self._positions = {word: position for position, word in enumerate(vocabulary)}
        self._rarity = rarity
        self._folding = np.ascontiguousarray(folding)

    @classmethod
    def fit(cls, texts: Sequence[str], dimension: int = 256, seed: int = 0) -> TfidfEmbedder:
        """Learns words and their company from ``texts``; 10,000 short texts take a few seconds.

        Raises ParameterInvalid where they have fewer words, in two texts or more, than ``dimension``; ImportError
        where scikit-learn is not installed.
        """
        try:
            from sklearn.decomposition import TruncatedSVD
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError as error:
            raise ImportError("TfidfEmbedder.fit() needs scikit-learn: pip install 'lutra[demo]'") from error
        vectorizer = TfidfVectorizer(
            analyzer=words,
            sublinear_tf=True,
            min_df=min(_TEXTS_WITH_WORD_MIN, len(texts)),
            max_features=_WORDS_MAX,
            dtype=np.float32,
        )
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError as error:  # no words at all
            raise ParameterInvalid(f"cannot fit an embedder to {len(texts)} texts: {error}") from error
        if not 1 <= dimension < min(weights.shape):
            raise ParameterInvalid(
                f"{len(texts)} texts with {weights.shape[1]} words are too few for {dimension} dimensions"
            )
        decomposition = TruncatedSVD(dimension, n_iter=_POWER_ITERATIONS, random_state=seed).fit(weights)
        # Damped by the root of their singular values, the few directions that most texts share do not drown the rest.
        folding = decomposition.components_.T / np.sqrt(np.maximum(decomposition.singular_values_, _SINGULAR_MIN))
        vocabulary = [str(word) for word in vectorizer.get_feature_names_out()]
        return cls(vocabulary, vectorizer.idf_.astype(np.float32), folding.astype(np.float32))

    @property
    def name(self) -> str:
        return f"tfidf-svd-{self.dimension}"

    @property
    def dimension(self) -> int:
        return int(self._folding.shape[1])

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension], each row of length 1, or 0 where no word of the text is known."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            counts = Counter(word for word in words(text) if word in self._positions)
            if not counts:
                continue
            positions = [self._positions[word] for word in counts]
            weights = np.array([1.0 + math.log(count) for count in counts.values()], dtype=np.float32)
            vector = (weights * self._rarity[positions]) @ self._folding[positions]
            length = np.linalg.norm(vector)
            if length > 0:
                vectors[row] = vector / length
        return vectors

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `embed`: a question is a text."""
        return self.embed(texts)

    def save(self, path: Path) -> None:
        """Writes the embedder to one file, in place of any that is there; a NumPy archive without pickled objects."""
        about = {"format": _FORMAT, "version": _VERSION, "words": self._vocabulary}
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.savez(
                file,
                about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
                rarity=self._rarity,
                folding=self._folding,
            )
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> TfidfEmbedder:
        """Reads what :meth:`save` wrote. Raises FileNotFoundError, Corruption."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                about = json.loads(archive["about"].tobytes())
                rarity, folding = archive["rarity"], archive["folding"]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise Corruption(f"{path} is not a saved embedder: {error}") from error
        if about.get("format") != _FORMAT or about.get("version") != _VERSION:
            raise Corruption(f"{path} is a saved embedder of another version: {about.get('version')}")
        vocabulary = about["words"]
        if rarity.shape != (len(vocabulary),) or folding.ndim != 2 or len(folding) != len(vocabulary):
            raise Corruption(f"{path} is not a saved embedder: its parts do not fit")
        return cls(vocabulary, rarity, folding)


def opened(argument: str, dimension: int | None) -> TfidfEmbedder:
    """The one that was saved to the file ``argument``. Raises FileNotFoundError, Corruption."""
    return TfidfEmbedder.load(Path(argument))
