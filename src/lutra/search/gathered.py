"""What must be known of all shards of a search before one of them collects, as it is sent: to whoever puts it together,
and back.

Of words it is how often they are; of neighbours, how far those of one shard are, and how far the last of all shards is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.model.errors import Corruption
from lutra.search.aggregations.packing import Packer, Unpacker, require
from lutra.text.statistics import TermStatistics

_LISTS_MAX: Final = 1 << 16
_COUNT_MAX: Final = 1 << 48
"""Of documents or words: as many shards as there may be still add up."""


class Neighbours(NamedTuple):
    """Of one KNN condition, in one shard, in no order."""

    distances: npt.NDArray[np.float64]
    """float64[n]; they are float32, exactly."""
    keys: list[bytes]
    """The encoded primary keys of their rows."""


class Cut(NamedTuple):
    """The last neighbour of all shards: nearer ones are in, and of those as far those whose keys are not greater."""

    distance: float
    key: bytes


@dataclass(frozen=True, slots=True)
class Gathered:
    """Of one shard: of each condition that scores words, and of each KNN condition, in the order of the query."""

    words: Sequence[TermStatistics]
    neighbours: Sequence[Neighbours]

    def encode(self) -> bytes:
        out = Packer()
        _write_words(self.words, out)
        out.number(len(self.neighbours))
        for distances, keys in self.neighbours:
            out.array(distances)
            out.strings(keys)
        return out.finish()

    @classmethod
    def decode(cls, data: bytes) -> Gathered:
        """Raises Corruption for what `encode` did not make."""
        unpacker = Unpacker(data)
        words = _read_words(unpacker)
        neighbours = []
        for _ in range(unpacker.number(_LISTS_MAX)):
            distances, keys = unpacker.array("<f8"), unpacker.strings()
            require(len(distances) == len(keys) and not np.isnan(distances).any())
            neighbours.append(Neighbours(distances, keys))
        unpacker.finish()
        return cls(words, neighbours)


@dataclass(frozen=True, slots=True)
class Known:
    """Of all shards: of each condition as in `Gathered`. A cut is None where all neighbours are in."""

    words: Sequence[TermStatistics]
    cuts: Sequence[Cut | None]

    def encode(self) -> bytes:
        out = Packer()
        _write_words(self.words, out)
        out.number(len(self.cuts))
        for cut in self.cuts:
            out.array(np.array([] if cut is None else [cut.distance], np.float64))
            out.blob(b"" if cut is None else cut.key)
        return out.finish()

    @classmethod
    def decode(cls, data: bytes) -> Known:
        """Raises Corruption for what `encode` did not make."""
        unpacker = Unpacker(data)
        words = _read_words(unpacker)
        cuts: list[Cut | None] = []
        for _ in range(unpacker.number(_LISTS_MAX)):
            distances, key = unpacker.array("<f8"), unpacker.blob()
            require(len(distances) <= 1 and not np.isnan(distances).any())
            cuts.append(Cut(float(distances[0]), key) if len(distances) else None)
        unpacker.finish()
        return cls(words, cuts)


def known_of(shards: Sequence[Gathered], top_ks: Sequence[int]) -> Known:
    """Of shards, one at least, together; ``top_ks``: how many neighbours each KNN condition has.

    Raises Corruption where they do not go together.
    """
    first = shards[0]
    for shard in shards:
        same = [len(one.frequencies) for one in shard.words] == [len(one.frequencies) for one in first.words]
        if not same or len(shard.neighbours) != len(top_ks):
            raise Corruption("shards of one search have gathered what does not go together")
    words = [reduce(add, (shard.words[number] for shard in shards)) for number in range(len(first.words))]
    cuts = [_cut([shard.neighbours[number] for shard in shards], top_k) for number, top_k in enumerate(top_ks)]
    return Known(words, cuts)


def _cut(shards: Sequence[Neighbours], top_k: int) -> Cut | None:
    distances = np.concatenate([own.distances for own in shards])
    if len(distances) <= top_k:
        return None
    bound = float(np.partition(distances, top_k - 1)[top_k - 1])
    nearer = int(np.count_nonzero(distances < bound))
    keys = [key for own in shards for key in own.keys]
    tied = sorted(keys[place] for place in np.flatnonzero(distances == bound).tolist())
    return Cut(bound, tied[top_k - nearer - 1])


def within(own: Neighbours, cut: Cut | None) -> npt.NDArray[np.bool_]:
    """Which of a shard's neighbours are among those of all."""
    if cut is None:
        return np.ones(len(own.distances), bool)
    kept: npt.NDArray[np.bool_] = own.distances < cut.distance
    for place in np.flatnonzero(own.distances == cut.distance).tolist():
        kept[place] = own.keys[place] <= cut.key
    return kept


def _write_words(words: Sequence[TermStatistics], out: Packer) -> None:
    out.number(len(words))
    for one in words:
        out.array(one.frequencies.astype(np.int64, copy=False))
        out.number(one.documents)
        out.number(one.tokens)


def _read_words(unpacker: Unpacker) -> list[TermStatistics]:
    words = []
    for _ in range(unpacker.number(_LISTS_MAX)):
        frequencies = unpacker.array("<i8")
        documents, tokens = unpacker.number(_COUNT_MAX), unpacker.number(_COUNT_MAX)
        require(not len(frequencies) or 0 <= int(frequencies.min()) <= int(frequencies.max()) <= documents)
        words.append(TermStatistics(frequencies, documents, tokens))
    return words
