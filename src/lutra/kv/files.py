"""What an engine's table files tell of a range of keys, without reading them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lutra.kv.store import Estimate, Pair

File = dict[str, Any]
"""As RocksDB lists it: ``start_key``, ``end_key``, ``size``, ``num_entries``, ``num_deletions``."""


def within(files: Sequence[File], begin: bytes, end: bytes) -> list[tuple[File, int]]:
    """The files that reach into [begin, end), and 2 of one that reaches beyond, of which half counts; else 1."""
    found = []
    for file in files:
        first, last = file["start_key"], file["end_key"]
        if first is None or last is None or last < begin or first >= end:
            continue
        found.append((file, 1 if first >= begin and last < end else 2))
    return found


def sizes_within(files: Sequence[File], begin: bytes, end: bytes) -> list[tuple[bytes, int]]:
    """The start of each in [begin, end), ascending, and its bytes."""
    return sorted(
        (max(file["start_key"], begin), int(file["size"]) // share) for file, share in within(files, begin, end)
    )


def count(pairs: Iterable[Pair], most: int) -> Estimate:
    """Exactly how many there are, and their bytes, or that there are more than so many."""
    counted = size_bytes = 0
    for key, value in pairs:
        if counted == most:
            return Estimate(counted, size_bytes, is_exact=False, is_least=True)
        counted += 1
        size_bytes += len(key) + len(value)
    return Estimate(counted, size_bytes, is_exact=True)


def estimate_within(files: Sequence[File], begin: bytes, end: bytes, in_memory: int, counted: Estimate) -> Estimate:
    """About how many pairs [begin, end) has, and their bytes; at least those that were counted.

    ``in_memory``: entries of the engine that no file has yet; the range's share of them is taken to be that of what
    the files have.
    """
    pairs = sum(_pairs(file) // share for file, share in within(files, begin, end))
    size_bytes = sum(int(file["size"]) // share for file, share in within(files, begin, end))
    all_pairs = sum(map(_pairs, files))
    more = 1 + in_memory / all_pairs if all_pairs > 0 else 1
    pairs, size_bytes = round(pairs * more), round(size_bytes * more)
    if pairs <= counted.pairs:
        return counted
    return Estimate(pairs, max(size_bytes, counted.size_bytes), is_exact=False)


def _pairs(file: File) -> int:
    """What was deleted is there twice, as it was and as deleted."""
    return max(0, int(file["num_entries"]) - 2 * int(file["num_deletions"]))
