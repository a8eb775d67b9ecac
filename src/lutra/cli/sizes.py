"""Sizes as people say them."""

from __future__ import annotations


def size_text(size_bytes: int) -> str:
    """``847 B``, ``1.2 KB``, ``310 MB``."""
    size: float = size_bytes
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1_000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} TB"
