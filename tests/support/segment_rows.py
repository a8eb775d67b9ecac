"""Rows for segments whose bytes are the same with any numpy on any machine."""

from __future__ import annotations

from support.parts import TestRow, vector
from support.segments import lattice


def plain_rows(count: int, dimension: int = 6, first: int = 0, seed: int = 1) -> list[TestRow]:
    """In an order that is not that of their keys; every fifth lacks vector v, every seventh most else."""
    vectors, others = lattice(count, dimension, seed), lattice(count, 3, seed + 1)
    rows = []
    for i in range(count):
        number = first + i * 7 % count if count % 7 else first + i
        content: dict[str, object] = {"w": vector(others[i].tolist()), "n": number % 11}
        if i % 5:
            content["v"] = vector(vectors[i].tolist())
        if i % 7:
            content |= {
                "x": number / 8,
                "ok": number % 3 == 0,
                "word": f"word-{number % 13}",
                "when": f"2024-01-{number % 28 + 1:02d} 00:00:00",
                "tags": f'["all", "t{number % 4}"]',
            }
        rows.append(TestRow(b"key-%06d" % number, 1_700_000_000_000 + number, content))
    return rows
