"""Vectors from wordllama's weights: one vector a word, which its wheel brings; a text is the mean of its words.

The weights are read without the library's own code, which logs for the whole process once it is imported, downloads
what it doesn't find, and pads every text of a batch to the longest: one of a megabyte would take gigabytes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import Batching, EmbeddingError, ModelNotInstalled
from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid

DIMENSIONS: Final = (64, 128, 256)
"""The first numbers of a vector are a vector as well: the model was taught so."""
DIMENSION: Final = DIMENSIONS[-1]
_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"
_BATCH_TEXTS: Final = 64
_TOKENS_AT_ONCE: Final = 4_096


class WordLlamaEmbedder:
    """Averages the vectors that wordllama has of words. Implements ``TextEmbedder``; thread-safe.

    English, and fast: some thousands of texts a second on one core. Vectors have length 1, or 0 where a text has no
    word at all. ``dimension`` is 64, 128 or 256. Raises ParameterInvalid for another, ModelNotInstalled where wordllama
    is not installed, EmbeddingError where its weights cannot be read.
    """

    batching: Final = Batching(256, 1_000_000, threads=2)

    def __init__(self, dimension: int = DIMENSION) -> None:
        if dimension not in DIMENSIONS:
            raise ParameterInvalid(f"wordllama has vectors of {', '.join(map(str, DIMENSIONS))}, not {dimension!r}")
        folder = _folder()
        try:
            from safetensors import safe_open
            from tokenizers import Tokenizer

            self._tokenizer: Any = Tokenizer.from_file(str(folder / _TOKENIZER))
            with safe_open(folder / _WEIGHTS, framework="np") as weights:
                of_words = weights.get_tensor("embedding.weight")
        except Exception as error:  # the libraries raise what their readers raise
            raise EmbeddingError(f"cannot read the weights of wordllama: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._of_words = np.ascontiguousarray(of_words[:, :dimension], dtype=np.float32)

    @property
    def name(self) -> str:
        return "wordllama" if self.dimension == DIMENSION else f"wordllama:{self.dimension}"

    @property
    def dimension(self) -> int:
        return int(self._of_words.shape[1])

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension]. Raises EmbeddingError."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for first in range(0, len(texts), _BATCH_TEXTS):
            current_deadline().check()
            few = [text.encode(errors="replace").decode() for text in texts[first : first + _BATCH_TEXTS]]
            try:
                tokens = self._tokenizer.encode_batch_fast(few, add_special_tokens=False)
            except Exception as error:
                raise EmbeddingError(f"wordllama cannot read one of {len(few)} texts: {error}") from error
            for row, found in enumerate(tokens, first):
                vectors[row] = self._mean(np.asarray(found.ids, dtype=np.int64))
        return vectors

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `embed`: to this model, a question is a text."""
        return self.embed(texts)

    def _mean(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        total = np.zeros(self.dimension, dtype=np.float32)
        np.minimum(tokens, len(self._of_words) - 1, out=tokens)
        for first in range(0, len(tokens), _TOKENS_AT_ONCE):
            total += self._of_words[tokens[first : first + _TOKENS_AT_ONCE]].sum(axis=0)
        length = float(np.linalg.norm(total))
        return total / length if length > 0 else total


def _folder() -> Path:
    found = importlib.util.find_spec("wordllama")
    if found is None or found.origin is None:
        raise ModelNotInstalled("the model wordllama needs a library: pip install 'lutra[wordllama]'")
    return Path(found.origin).parent


def opened(argument: str, dimension: int | None) -> WordLlamaEmbedder:
    """The one whose vectors have ``argument`` numbers. Raises ParameterInvalid where there is none."""
    if argument and not argument.isdecimal():
        raise ParameterInvalid(f"wordllama:DIMENSION, not wordllama:{argument}")
    return WordLlamaEmbedder(int(argument or DIMENSION))
