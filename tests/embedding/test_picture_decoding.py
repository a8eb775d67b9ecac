"""Pictures of all kinds become upright RGB over white; what is none, or too large, is refused with the reason."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from support.pictures import ball, encoded

from lutra.embedding.picture_decoding import PictureLimits, PictureRefused, decode_picture

LIMITS = PictureLimits()


def decoded(picture: bytes) -> Image.Image:
    return decode_picture(picture, LIMITS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_kinds(kind: str) -> None:
    image = decoded(encoded(ball("red"), kind))
    assert (image.mode, image.size) == ("RGB", (120, 120))
    red, green, blue = image.getpixel((60, 60))
    assert red > 240
    assert max(green, blue) < 20


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_white(mode: str) -> None:
    clear = ball((200, 30, 30), background=None)
    picture = encoded(clear.quantize() if mode == "P" else clear.convert(mode))
    image = decoded(picture)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((60, 60)) != (255, 255, 255)


def test_half_transparency_is_mixed_with_white() -> None:
    image = decoded(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 51))))
    assert image.getpixel((1, 1)) == (204, 204, 204)


def test_turned_as_the_camera_says() -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste((0, 0, 0), (0, 0, 10, 20))  # black at the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright = decoded(encoded(image, exif=exif))
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 2)) == (0, 0, 0)
    assert upright.getpixel((10, 38)) == (255, 255, 255)


def test_sixteen_bits_of_grey() -> None:
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)
    image = decoded(encoded(Image.fromarray(values)))
    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_modes(mode: str) -> None:
    image = decoded(encoded(Image.new("RGB", (64, 64), "white").convert(mode), "PNG" if mode == "1" else "JPEG"))
    assert image.mode == "RGB"
    assert min(image.getpixel((32, 32))) > 250


def test_a_large_photograph_is_decoded_smaller() -> None:
    image = decoded(encoded(Image.new("RGB", (4000, 3000), "green"), "JPEG"))
    assert 512 <= min(image.size) < 1100


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"BM" + bytes(100), b"%PDF-1.4"]
)
def test_what_is_no_picture(content: bytes) -> None:
    with pytest.raises(PictureRefused, match="not a picture of a known kind"):
        decoded(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_half_a_picture_is_damaged(kind: str) -> None:
    whole = encoded(Image.effect_noise((100, 100), 90), kind)
    with pytest.raises(PictureRefused, match=r"damaged|not a picture"):
        decoded(whole[: len(whole) // 2])


def test_more_bytes_than_allowed() -> None:
    with pytest.raises(PictureRefused, match="101 bytes, more than 100"):
        decode_picture(bytes(101), PictureLimits(bytes_max=100))


@pytest.mark.parametrize("side", [6_400, 12_000, 60_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    """A PNG that says it is large; it has no pixels at all, so nothing else can refuse it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(PictureRefused, match="more than 40,000,000"):
        decoded(picture)
