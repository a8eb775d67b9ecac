"""What an operation hands back: the body of a 200, and what to count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Reply:
    """``rows_read`` and ``rows_written`` feed the metrics."""

    body: bytes
    rows_read: int = 0
    rows_written: int = 0
