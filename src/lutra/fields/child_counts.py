"""How many documents each one of a space holds of a nested field, in a segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.model.arrays import Docs
from lutra.model.errors import Corruption
from lutra.scalars.pages import PageReader, Sink
from lutra.scalars.stored_numbers import StoredNumbers


class ChildCounts:
    """They are as small as 1 byte a document, and cannot but be in order. Thread-safe."""

    def __init__(self, source: PageReader, meta: Mapping[str, Any], size: int, children: int) -> None:
        """``children`` documents, held by documents 0 to ``size`` - 1."""
        self._source = source
        self._counts = StoredNumbers.of(meta["counts"])
        self._size = size
        self._children = children

    @staticmethod
    def write(sink: Sink, counts: npt.NDArray[np.int64]) -> dict[str, Any]:
        """``counts`` (int64[size]) by document. Returns what is wanted to know, for JSON."""
        return {"counts": StoredNumbers.write(sink, counts).meta()}

    def parents(self) -> Docs:
        """int32[children], ascending: the document that holds each. Raises Corruption, StorageFailure."""
        counts = self._read()
        for fault in self._faults_of(counts):
            raise Corruption(f"{self._source.name}: {fault}")
        return np.repeat(np.arange(self._size, dtype=np.int32), counts)

    def faults(self) -> Iterator[str]:
        """What does not agree with the sizes of both spaces. Raises Corruption, StorageFailure."""
        return self._faults_of(self._read())

    def _read(self) -> npt.NDArray[Any]:
        return self._counts.read(self._source)

    def _faults_of(self, counts: npt.NDArray[Any]) -> Iterator[str]:
        if len(counts) != self._size:
            yield f"{len(counts)} documents are said to hold some, of {self._size}"
        elif len(counts) and (int(counts.min()) < 0 or int(counts.sum(dtype=np.int64)) != self._children):
            yield f"{int(counts.sum(dtype=np.int64))} are said to be held, of {self._children}"
