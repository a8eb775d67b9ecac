"""A folder of pictures with their captions, as files have them.

A caption stands in a text file of the picture's name: in English on the first line, and in other languages on lines
like ``zh_CN.utf8=青蛙。``, as the stamps of Tux Paint have them. A picture without one has only what is seen in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lutra.embedding.picture_decoding import PictureLimits, PictureRefused

LANGUAGES: Final = ("en", "zh_CN", "zh_TW", "ja", "fr")
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg"})
LIMITS: Final = PictureLimits()
PICTURES_MAX: Final = 1_000_000

_DRAWING_SUFFIX: Final = ".svg"
_DRAWING_BYTES_MAX: Final = 4 << 20
_RENDERED_PIXELS: Final = 512
_CSS_DPI: Final = 96  # which makes a point 4/3 pixels; without it, sizes in points are none
_MIRRORED: Final = "_mirror"
_CAPTIONS_BYTES_MAX: Final = 256 * 1_024
_CAPTION_CHARS_MAX: Final = 1_000


class NoPictures(Exception):
    """There is nothing to look at; the message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """``path`` is the file's, below the collection's folder; ``captions`` are by language, those that there are."""

    path: str
    file: Path
    captions: Mapping[str, str]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def is_drawing(self) -> bool:
        return self.file.suffix.lower() == _DRAWING_SUFFIX

    def stored(self) -> bytes:
        """The file as it is. Raises PictureRefused where it is too large or cannot be read."""
        bytes_max = _DRAWING_BYTES_MAX if self.is_drawing else LIMITS.bytes_max
        try:
            if (size := self.file.stat().st_size) > bytes_max:
                raise PictureRefused(f"the file has {size:,} bytes, more than {bytes_max:,}")
            return self.file.read_bytes()
        except OSError as error:
            raise PictureRefused(f"cannot be read: {error.strerror or error}") from error

    def encoded(self, stored: bytes) -> bytes:
        """Of the file's content, the picture as PNG, JPEG, WebP or GIF: a drawing (SVG) is rendered.

        Raises PictureRefused.
        """
        return _rendered(stored) if self.is_drawing else stored


def read_collection(folder: Path) -> list[Picture]:
    """All pictures in ``folder`` and the folders in it, by path. Raises NoPictures."""
    if not folder.is_dir():
        raise NoPictures(f"there is no folder {folder}")
    found: list[Picture] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            if file.suffix.lower() in SUFFIXES and not name.startswith("."):
                found.append(Picture(file.relative_to(folder).as_posix(), file, _captions(file)))
        if len(found) > PICTURES_MAX:
            raise NoPictures(f"{folder} has more than {PICTURES_MAX:,} pictures: choose a part of it")
    if not found:
        raise NoPictures(f"there are no pictures in {folder}: {', '.join(sorted(SUFFIXES))}")
    return sorted(found, key=lambda picture: picture.path)


def subject_of(path: str) -> str:
    """The same for versions of one picture: drawn and rendered, mirrored."""
    return path.rpartition(".")[0].removesuffix(_MIRRORED)


def _captions(file: Path) -> dict[str, str]:
    for stem in dict.fromkeys((file.stem, file.stem.removesuffix(_MIRRORED))):
        text = file.with_name(f"{stem}.txt")
        try:
            with text.open("rb") as opened:
                lines = opened.read(_CAPTIONS_BYTES_MAX).decode(errors="replace").splitlines()
        except OSError:
            continue
        return _parsed(lines)
    return {}


def _parsed(lines: list[str]) -> dict[str, str]:
    captions: dict[str, str] = {}
    for number, line in enumerate(lines):
        locale, _, caption = line.partition("=") if number else ("en", "", line)
        language = locale.partition(".")[0]
        caption = caption.strip()[:_CAPTION_CHARS_MAX]
        if language in LANGUAGES and caption:
            captions.setdefault(language, caption)
    return captions


def _rendered(drawing: bytes) -> bytes:
    try:
        import resvg_py
    except ImportError:
        raise PictureRefused("drawings need resvg-py: pip install 'lutra[pictures]'") from None
    try:
        rendered = resvg_py.svg_to_bytes(
            svg_string=drawing.decode("utf-8-sig"),
            width=_RENDERED_PIXELS,  # with the height, a box that the drawing fits in
            height=_RENDERED_PIXELS,
            dpi=_CSS_DPI,
            skip_system_fonts=True,
        )
    except ValueError as error:
        raise PictureRefused(f"not a drawing that can be rendered: {error}") from error
    return bytes(rendered)
