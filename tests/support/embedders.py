"""Models that know a few words, and fail when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import EmbeddingError

WORDS = ("sea", "river", "fish", "song")
COLOURS = (b"red", b"green", b"blue")


class Words:
    """A model of texts: how often each of four words is in one. Questions are told by a little more of each."""

    name, dimension = "words-of-tests", len(WORDS)

    def __init__(self) -> None:
        self.passages: list[str] = []
        self.queries: list[str] = []
        self.threads: set[str] = set()
        self.failure: Exception | None = None

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.passages += texts
        return self._counts(texts, 0.001)

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.queries += texts
        return self._counts(texts, 0.002)

    def _counts(self, texts: Sequence[str], more: float) -> npt.NDArray[np.float32]:
        self.threads.add(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure
        for text in texts:
            if "unreadable" in text:
                raise EmbeddingError(f"cannot read {text!r}")
        return np.array([[text.lower().count(word) + more for word in WORDS] for text in texts], dtype=np.float32)


class Colours:
    """A model of pictures, which are names of colours here, and of texts in the same space."""

    name, dimension = "colours-of-tests", len(COLOURS)

    def embed(self, pictures: Sequence[bytes]) -> npt.NDArray[np.float32]:
        return np.array([[one.count(colour) + 0.01 for colour in COLOURS] for one in pictures], dtype=np.float32)

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed([text.encode() for text in texts])


class Brightness:
    """A model of pictures that knows no words."""

    name, dimension = "brightness-of-tests", 2

    def embed(self, pictures: Sequence[bytes]) -> npt.NDArray[np.float32]:
        return np.array([[one.count(b"red") + 0.01, 1] for one in pictures], dtype=np.float32)
