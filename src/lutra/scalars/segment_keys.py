"""The primary keys of a segment, whose documents are numbered in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import Corruption
from lutra.scalars.bloom import Bloom, Hashes, hashes_of
from lutra.scalars.pages import Sink, Source
from lutra.scalars.stored_strings import StoredStrings
from lutra.scalars.string_blocks import StringBlocks, write_strings

FORMAT: Final = 1


def write_keys(sink: Sink, keys: Sequence[bytes]) -> dict[str, Any]:
    """Writes encoded keys, ascending and distinct. Returns what `SegmentKeys` wants to know, for JSON.

    :raises ValueError: they are not in order.
    """
    strings = write_strings(sink, keys)
    words = Bloom.of(keys).words
    return {"format": FORMAT, "strings": strings, "bloom": [sink.write(words), len(words)]}


class SegmentKeys(StoredStrings):
    """Keys of the documents 0 to ``size`` - 1, in ascending order. Thread-safe.

    The filter and the index of blocks are read when first needed and kept. Methods raise what the source raises.

    :raises Corruption: ``meta`` is of a format that is not known here.
    """

    def __init__(self, source: Source, meta: Mapping[str, Any]) -> None:
        if meta["format"] != FORMAT:
            raise Corruption(f"keys are of format {meta['format']}: this release reads {FORMAT}")
        super().__init__(StringBlocks(source, meta["strings"]))
        self._source = source
        self._place: tuple[int, int] = tuple(meta["bloom"])
        self._bloom: Bloom | None = None

    @property
    def state_bytes(self) -> int:
        """About what is kept in memory."""
        return self.strings.state_bytes + (self._bloom.words.nbytes if self._bloom is not None else 0)

    def key(self, doc: int) -> bytes:
        """The key of a document. Raises IndexError where there is none of that number."""
        return self.strings[doc]

    def keys(self, docs: npt.NDArray[np.integer[Any]]) -> list[bytes]:
        """The keys of documents, in that order. Raises IndexError as `key`."""
        return self.strings.take(docs)

    def find(self, keys: Sequence[bytes], hashes: Hashes | None = None) -> npt.NDArray[np.int64]:
        """int64[n]: the document of each of ``keys``, -1 where there is none.

        ``hashes`` are `lutra.scalars.bloom.hashes_of` the keys, for who looks them up in several segments.
        """
        result = np.full(len(keys), -1, np.int64)
        maybe = self._filter().maybe(hashes_of(keys) if hashes is None else hashes)
        if len(maybe):
            result[maybe] = self.strings.find([keys[i] for i in maybe.tolist()])
        return result

    def place(self, mark: bytes) -> tuple[int, int]:
        """``(first document whose key is greater, document whose key is equal or -1)``; the first may be ``size``."""
        rank, found = self.strings.rank(mark)
        return (rank + 1, rank) if found else (rank, -1)

    def blocks(self) -> Iterator[list[bytes]]:
        """All keys in order, some tens of thousands at a time: what a merge reads."""
        return self.strings.blocks()

    def faults(self) -> Iterator[str]:
        """What would mislead a look-up; nothing where each key is found. Reads all of them, as `blocks`."""
        yield from self.strings.faults()
        bloom, missing = self._filter(), 0
        for keys in self.blocks():
            missing += len(keys) - len(bloom.maybe(hashes_of(keys)))
        if missing:
            yield f"the filter takes {missing} keys for absent that are there"

    def _filter(self) -> Bloom:
        if self._bloom is None:
            self._bloom = Bloom(np.frombuffer(self._source.read(*self._place), np.uint8))
        return self._bloom
