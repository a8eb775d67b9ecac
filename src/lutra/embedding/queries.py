"""Vectors of what is looked for. The last few are kept: who turns the page asks for the same words again."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import Embedder, EmbeddingError
from lutra.embedding.pipeline import Embed, Item, called

_KEPT_MAX: Final = 256
_Key = tuple[int, str, bytes]


class QueryVectors:
    """The last vectors, of all models together. Thread-safe."""

    def __init__(self, kept_max: int = _KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._lock = threading.Lock()
        # The embedder stands by: as long as it does, no other has its id.
        self._kept: OrderedDict[_Key, tuple[Embedder, npt.NDArray[np.float32]]] = OrderedDict()

    def of(self, embedder: Embedder, embed: Embed, items: Sequence[Item]) -> npt.NDArray[np.float32]:
        """float32 [len(items), dimension], of words or of pictures, by ``embed``, which is a method of ``embedder``.

        Raises EmbeddingError.
        """
        keys = [_key(embedder, item) for item in items]
        with self._lock:
            found = {key: self._kept[key][1] for key in keys if key in self._kept}
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in found}
        if missing:
            made = called(embedder.name, embedder.dimension, embed, list(missing.values()))
            if not np.isfinite(made).all():
                raise EmbeddingError(f"the model {embedder.name!r} gave numbers that are not finite")
            found.update(zip(missing, made, strict=True))
        with self._lock:
            for key in keys:
                self._kept[key] = (embedder, found[key])
                self._kept.move_to_end(key)
            while len(self._kept) > self._kept_max:
                self._kept.popitem(last=False)
        return np.stack([found[key] for key in keys]) if keys else np.empty((0, embedder.dimension), dtype=np.float32)

    def forked(self) -> None:
        """In a child process, where another thread may have held the lock, which is not there to let go."""
        self._lock = threading.Lock()


def _key(embedder: Embedder, item: Item) -> _Key:
    data = item if isinstance(item, bytes) else item.encode(errors="surrogatepass")
    return id(embedder), type(item).__name__, hashlib.sha256(data).digest()


query_vectors: Final = QueryVectors()
"""Of this process."""
os.register_at_fork(after_in_child=query_vectors.forked)
