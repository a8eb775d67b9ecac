"""How the live documents of several parts are numbered in one segment: in the order of their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lutra.model.arrays import Docs
from lutra.model.errors import Corruption
from lutra.segments.part import Part


@dataclass(frozen=True, slots=True)
class Numbering:
    """``keys`` of the new documents, ascending; ``renumber[i][doc]`` is the new number of a document of part ``i``.

    int32[size] each; -1 where the document is dead.
    """

    keys: list[bytes]
    renumber: tuple[Docs, ...]


def number_documents(inputs: Sequence[Part]) -> Numbering:
    """Takes some 150 bytes of memory a live document while it works, and its key.

    Raises Corruption where two live documents have one key; StorageFailure.
    """
    live_docs = [part.live.ids() for part in inputs]
    keys: list[bytes] = []
    for part, docs in zip(inputs, live_docs, strict=True):
        keys += part.keys.taken(docs)
    # Runs that ascend already: sorting merges them.
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    rank = np.empty(len(keys), np.int32)
    rank[order] = np.arange(len(keys), dtype=np.int32)
    renumber, begin = [], 0
    for part, docs in zip(inputs, live_docs, strict=True):
        numbers = np.full(part.size, -1, np.int32)
        numbers[docs] = rank[begin : begin + len(docs)]
        renumber.append(numbers)
        begin += len(docs)
    keys = [keys[i] for i in order.tolist()]
    for one, next_one in pairwise(keys):
        if one == next_one:
            raise Corruption(f"two live documents of the parts that were to be one segment have the key {one.hex()}")
    return Numbering(keys, tuple(renumber))
