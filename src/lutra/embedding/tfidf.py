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

from lutra.embedding.decomposition import SparseMatrix, main_directions
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

        Raises ParameterInvalid where they have fewer words, in two texts or more, than ``dimension``.
        """
        counted = [Counter(words(text)) for text in texts]
        vocabulary, texts_with = _vocabulary(counted)
        if not 1 <= dimension < min(len(texts), len(vocabulary)):
            raise ParameterInvalid(
                f"{len(texts)} texts with {len(vocabulary)} words are too few for {dimension} dimensions"
            )
        rarity = (np.log((1 + len(texts)) / (1 + texts_with)) + 1).astype(np.float32)
        weights = _weights(counted, vocabulary, rarity)
        singular, right = main_directions(weights, dimension, _POWER_ITERATIONS, seed)
        # Damped by the root of their singular values, the few directions that most texts share do not drown the rest.
        damped = np.sqrt(np.maximum(singular, _SINGULAR_MIN))
        return cls(vocabulary, rarity, (right / damped).astype(np.float32))

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


def _vocabulary(counted: Sequence[Counter[str]]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The words of texts by name, those that occur most where there are too many, and in how many texts each is."""
    with_word = Counter(word for counts in counted for word in counts)
    least = min(_TEXTS_WITH_WORD_MIN, len(counted))
    found = sorted(word for word, count in with_word.items() if count >= least)
    if len(found) > _WORDS_MAX:
        occurrences: Counter[str] = Counter()
        for counts in counted:
            occurrences.update(counts)
        found = sorted(sorted(found, key=lambda word: -occurrences[word])[:_WORDS_MAX])
    return found, np.array([with_word[word] for word in found], dtype=np.int64)


def _weights(
    counted: Sequence[Counter[str]], vocabulary: Sequence[str], rarity: npt.NDArray[np.float32]
) -> SparseMatrix:
    """A row for each text, of length 1 or 0: of each known word the logarithm of its count, by its rarity."""
    positions = {word: position for position, word in enumerate(vocabulary)}
    columns: list[int] = []
    logarithms: list[float] = []
    starts = [0]
    for counts in counted:
        known = sorted((positions[word], count) for word, count in counts.items() if word in positions)
        columns.extend(position for position, _ in known)
        logarithms.extend(1.0 + math.log(count) for _, count in known)
        starts.append(len(columns))
    at = np.array(columns, dtype=np.int64)
    values = np.array(logarithms, dtype=np.float32) * rarity[at]
    of_row = np.repeat(np.arange(len(counted)), np.diff(starts))
    lengths = np.sqrt(np.bincount(of_row, weights=values.astype(np.float64) ** 2, minlength=len(counted)))
    values /= lengths[of_row].astype(np.float32)
    return SparseMatrix(np.array(starts, dtype=np.int64), at, values, len(vocabulary))


def opened(argument: str, dimension: int | None) -> TfidfEmbedder:
    """The one that was saved to the file ``argument``. Raises FileNotFoundError, Corruption."""
    return TfidfEmbedder.load(Path(argument))
