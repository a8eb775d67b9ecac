"""Pictures from bytes that anybody may have sent: PNG, JPEG, WebP and GIF, within limits, upright, over white."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lutra.embedding.embedder import EmbeddingError

if TYPE_CHECKING:
    from PIL import Image

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
# Of a large photograph (JPEG) a smaller version is decoded, of at least this side: nothing here looks closer.
_SIDE_PIXELS: Final = 512


class PictureRefused(EmbeddingError):
    """One picture cannot be taken; the message says why. Others of the same batch are not concerned."""

    code = "OTSParameterInvalid"


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What one picture may be: ``bytes_max`` encoded, ``pixels_max`` (width x height) decoded.

    A picture takes up to 7 bytes a pixel while it is decoded: at the default, 280 MB.
    """

    bytes_max: int = 32 << 20
    pixels_max: int = 40_000_000


def decode_picture(picture: bytes, limits: PictureLimits) -> Image.Image:
    """The picture in mode RGB, turned as its EXIF orientation says, over white where it is transparent.

    Of an animation, its first frame. Raises PictureRefused; ImportError where Pillow is not installed.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(picture) > limits.bytes_max:
        raise PictureRefused(f"the picture has {len(picture):,} bytes, more than {limits.bytes_max:,}")
    try:
        image: Image.Image = Image.open(io.BytesIO(picture), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureRefused(f"the picture has more than {limits.pixels_max:,} pixels") from None
    except UnidentifiedImageError:
        raise PictureRefused("not a picture of a known kind: PNG, JPEG, WebP or GIF") from None
    except Exception as error:  # decoders raise what they raise on what is damaged
        raise _damaged(error) from error
    width, height = image.size
    if width * height > limits.pixels_max:  # the header says so, before a pixel is decoded
        raise PictureRefused(
            f"the picture has {width:,} x {height:,} pixels, more than {limits.pixels_max:,}: make it smaller"
        )
    try:
        image.draft("RGB", (_SIDE_PIXELS, _SIDE_PIXELS))
        return _over_white(ImageOps.exif_transpose(image))
    except Exception as error:
        raise _damaged(error) from error


def _over_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits of grey, which Pillow would cut off at 255
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _damaged(error: Exception) -> PictureRefused:
    return PictureRefused(f"the picture is damaged: {error or type(error).__name__}")
