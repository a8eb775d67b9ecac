"""What an operation hands back: the body of a 200, and what to count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Reply:
    """What is counted feeds the metrics."""

    body: bytes
    rows_read: int = 0
    rows_written: int = 0
    distances: int = 0
    """In search of neighbours: estimates and exact ones."""
    reads: int = 0
    """In search of neighbours: requests to the disk, or blocks asked of the cache."""
    explanation: bytes = b""
    """Of a search that was asked what it did: the value of a header."""
