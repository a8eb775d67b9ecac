"""Pictures drawn for tests, encoded."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def traffic_light() -> Image.Image:
    """A photograph's stand-in: it fills its frame, and its sky reaches to the edges."""
    image = Image.new("RGB", (700, 700), (140, 190, 230))
    drawing = ImageDraw.Draw(image)
    drawing.rectangle((200, 50, 500, 650), fill=(40, 40, 40))
    for number, colour in enumerate(("red", "yellow", "green")):
        drawing.ellipse((260, 80 + number * 190, 440, 260 + number * 190), fill=colour)
    drawing.rectangle((340, 650, 360, 700), fill=(60, 60, 60))
    return image


def ball(colour: str | tuple[int, int, int], side: int = 120, background: str | None = "white") -> Image.Image:
    """A disc on white, or on nothing at all (``background`` None)."""
    image = (
        Image.new("RGBA", (side, side), (0, 0, 0, 0))
        if background is None
        else Image.new("RGB", (side, side), background)
    )
    ImageDraw.Draw(image).ellipse((side // 8, side // 8, side * 7 // 8, side * 7 // 8), fill=colour)
    return image
