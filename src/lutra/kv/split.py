"""Cutting a key range into pieces of a size."""

from __future__ import annotations

from collections.abc import Iterable


def cut(sizes: Iterable[tuple[bytes, int]], piece_bytes: int, limit: int) -> list[bytes]:
    """At most ``limit`` of the keys, such that from one to the next there are at least ``piece_bytes``.

    ``sizes`` gives keys ascending, each with the bytes that lie from it up to the next.
    """
    cuts: list[bytes] = []
    gathered = 0
    for key, size in sizes:
        if gathered >= piece_bytes:
            if len(cuts) == limit:
                break
            cuts.append(key)
            gathered = 0
        gathered += size
    return cuts
