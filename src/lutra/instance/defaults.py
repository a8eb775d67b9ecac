"""What holds where who opens a database does not say otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_INSTANCE: Final = "default"
MEMORY_BYTES_DEFAULT: Final = 512 * 1024 * 1024
"""Codes and graphs of a million vectors of 960 dimensions, or of several millions of 128."""


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """Of the whole process and those that build for it, in place of what segments may have."""

    limit_bytes: int
