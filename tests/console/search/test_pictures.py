"""What counts as a picture."""

from __future__ import annotations

import pytest
from support import pictures

from lutra.console.search.pictures import picture_type


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_pictures_are_known_by_their_first_bytes(kind: str) -> None:
    assert picture_type(pictures.encoded(pictures.ball("red"), kind)) == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    "content", [b"", b"<svg onload='alert(1)'></svg>", b"RIFF0000WAVE", b"BM", "\x89PNG", None, b"<html>"]
)
def test_all_else_is_none(content: object) -> None:
    assert picture_type(content) is None
