"""Columns that hold a picture, known by its first bytes."""

from __future__ import annotations

from typing import Final

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_RIFF_BYTES: Final = 12


def picture_type(content: object) -> str | None:
    """The media type of a PNG, JPEG, GIF or WebP file; None for all else.

    An SVG is none: it is a document that may have scripts.
    """
    if not isinstance(content, bytes):
        return None
    if content[:4] == b"RIFF" and content[8:_RIFF_BYTES] == b"WEBP":
        return "image/webp"
    return next((kind for signature, kind in _SIGNATURES if content.startswith(signature)), None)
