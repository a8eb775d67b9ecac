"""Which node is to have which partition: the same answer on every node that knows the same nodes and partitions.

Rendezvous hashing: each partition goes to the node with the highest hash of both, so that a node that comes or goes
moves about its own share and no other. Pure hashing leaves some nodes with far more than their share where partitions
are few, so a node that has its share and a tenth more takes no more: what is left goes to its next best.
All in integers, so that no two machines differ by how they round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SLACK: Final = 10
"""One part in so many that a node may have above its share."""
_HASHES_AT_ONCE: Final = 1 << 17

Hashes = NDArray[np.uint64]


def place(partition_ids: Sequence[str], nodes: Mapping[str, int]) -> dict[str, str]:
    """The node of each partition. ``nodes``: how many shares each takes, from 1; empty where there are none.

    No node has more than its share of all, rounded up, and a tenth of it.
    """
    if not nodes or not partition_ids:
        return {}
    names = sorted(nodes)
    ids = sorted(partition_ids)
    owners = [index for index, name in enumerate(names) for _ in range(nodes[name])]
    seats = _hashes([f"{names[index]}/{seat}" for index, seat in _seats(owners)])
    keys = _hashes(ids)
    best, heights = _best(keys, seats)
    wanted = np.asarray(owners)[best]
    room = _room(len(ids), [nodes[name] for name in names])
    placed = {partition_id: names[index] for partition_id, index in zip(ids, wanted.tolist(), strict=True)}
    homeless: list[int] = []
    for index in np.flatnonzero(np.bincount(wanted, minlength=len(names)) > room).tolist():
        mine = np.flatnonzero(wanted == index)
        mine = mine[np.argsort(heights[mine], kind="stable")]
        homeless += mine[: len(mine) - room[index]].tolist()
    room = np.maximum(room - np.bincount(wanted, minlength=len(names)), 0)
    for row in sorted(homeless):
        scores = _scores(keys[row : row + 1], seats)[0]
        index = next(owners[seat] for seat in np.argsort(scores, kind="stable")[::-1].tolist() if room[owners[seat]])
        room[index] -= 1
        placed[ids[row]] = names[index]
    return placed


def _room(partitions: int, shares: Sequence[int]) -> NDArray[np.int64]:
    """int64[nodes]: how many each may have."""
    total = sum(shares)
    fair = [-(-partitions * share // total) for share in shares]
    return np.array([each + each // _SLACK for each in fair], np.int64)


def _best(keys: Hashes, seats: Hashes) -> tuple[NDArray[np.int64], Hashes]:
    """Of each key the seat with the highest score, int64[keys], and that, uint64[keys]."""
    best, heights = np.empty(len(keys), np.int64), np.empty(len(keys), np.uint64)
    rows = max(1, _HASHES_AT_ONCE // len(seats))
    for begin in range(0, len(keys), rows):
        scores = _scores(keys[begin : begin + rows], seats)
        best[begin : begin + rows] = np.argmax(scores, axis=1)
        heights[begin : begin + rows] = scores.max(axis=1)
    return best, heights


def _seats(owners: Sequence[int]) -> list[tuple[int, int]]:
    """A node takes a hash for each of its shares, so that its chance is as its share."""
    return [(index, seat - owners.index(index)) for seat, index in enumerate(owners)]


def _hashes(texts: Sequence[str]) -> Hashes:
    """uint64[n]: the same everywhere and always."""
    joined = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)


def _scores(keys: Hashes, seats: Hashes) -> Hashes:
    """uint64[keys, seats]: splitmix64's mixing of the two hashes, by Sebastiano Vigna (public domain)."""
    mixed: Hashes = keys[:, None] ^ seats[None, :]
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
