"""Fills a gallery from a folder. Again and again: what has not changed is left alone, and what has gone goes."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import lutra
from examples.pictures.collection import LANGUAGES, LIMITS, NoPictures, Picture, read_collection
from examples.pictures.gallery import (
    CAPTIONS,
    LIKELY_SHARE_MIN,
    PICTURE_MODEL,
    TEXT_MODEL,
    Gallery,
    about_text,
    folders_above,
)
from lutra.embedding.efficientnet import PictureSight
from lutra.embedding.picture_decoding import PictureRefused, decode_picture

THUMBNAIL_PIXELS: Final = 256

_FOLDER: Final = "folder"
_FORMAT: Final = f"1 {PICTURE_MODEL} {TEXT_MODEL}"
_PICTURES_AT_ONCE: Final = 32
_BYTES_AT_ONCE: Final = 64 << 20
_NAMES: Final = 5
_THUMBNAIL_QUALITY: Final = 82

Progress = Callable[[int, int], object]
"""Called with how many pictures are done, and how many there are."""


@dataclass(slots=True)
class Filling:
    """What a filling did. ``refused``: pictures that could not be taken, by path, and why."""

    pictures: int = 0
    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    took_s: float = 0.0
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def rows_per_s(self) -> float:
        return self.written / self.took_s if self.took_s else 0.0


@dataclass(frozen=True, slots=True)
class _Work:
    picture: Picture
    stored: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class _Seen:
    work: _Work
    sight: PictureSight
    thumbnail: bytes


def fill(gallery: Gallery, folder: Path, progress: Progress = lambda done, total: None) -> Filling:
    """Makes the table hold the pictures of ``folder``, which stays the gallery's only one.

    May be ended at any time and called again: rows are written some at a time, and those that are right stay.
    Raises NoPictures, also where the gallery is of another folder.
    """
    started = time.perf_counter()
    pictures = read_collection(folder)
    _take_possession(gallery, folder)
    done = Filling(pictures=len(pictures))
    digests = {row["path"]: row["digest"] for row in gallery.table.scan(columns=["digest"])}
    batch: list[_Work] = []
    for number, picture in enumerate(pictures):
        try:
            work = _work(picture)
        except PictureRefused as reason:
            done.refused.append((printable(picture.path), str(reason)))
            continue
        if digests.get(picture.path) == work.digest:
            done.unchanged += 1
            continue
        batch.append(work)
        if len(batch) == _PICTURES_AT_ONCE or sum(len(work.stored) for work in batch) >= _BYTES_AT_ONCE:
            _write(gallery, batch, done)
            batch = []
            progress(number + 1, len(pictures))
    _write(gallery, batch, done)
    present = {picture.path for picture in pictures} - {path for path, _ in done.refused}
    done.deleted = gallery.table.delete_many(path for path in digests if path not in present)
    progress(len(pictures), len(pictures))
    done.took_s = time.perf_counter() - started
    return done


def _take_possession(gallery: Gallery, folder: Path) -> None:
    """Raises NoPictures where the rows are of another folder, which would go."""
    row = gallery.about.get(_FOLDER)
    own = str(folder.resolve())
    if row is not None and row["value"] != own:
        raise NoPictures(f"this data folder holds the pictures of {row['value']}: choose another one with --data")
    gallery.about.put({"name": _FOLDER, "value": own})


def _work(picture: Picture) -> _Work:
    """Raises PictureRefused."""
    if printable(picture.path) != picture.path:
        raise PictureRefused("its name is not in UTF-8")
    stored = picture.stored()
    about = json.dumps([_FORMAT, dict(picture.captions)], sort_keys=True).encode()
    return _Work(picture, stored, hashlib.sha256(about + b"\0" + stored).hexdigest())


def _write(gallery: Gallery, batch: Sequence[_Work], done: Filling) -> None:
    seen = list(_seen(gallery, batch, done))
    texts = [about_text(one.work.picture.captions.get(LANGUAGES[0], ""), one.sight) for one in seen]
    meanings = gallery.texts.embed(texts)
    rows = [_row(one, text, meaning) for one, text, meaning in zip(seen, texts, meanings, strict=True)]
    rejected: list[lutra.Rejected] = []
    done.written += gallery.table.put_many(rows, rejected=rejected.append)
    done.refused += [(bad.row["path"], str(bad.error)) for bad in rejected]


def _seen(gallery: Gallery, batch: Sequence[_Work], done: Filling) -> Iterator[_Seen]:
    encoded: dict[str, bytes] = {}
    for work in batch:
        try:
            encoded[work.picture.path] = work.picture.encoded(work.stored)
        except PictureRefused as reason:
            done.refused.append((work.picture.path, str(reason)))
    works = [work for work in batch if work.picture.path in encoded]
    sights = gallery.pictures.look([encoded[work.picture.path] for work in works], _NAMES)
    for work, sight in zip(works, sights, strict=True):
        if isinstance(sight, PictureRefused):
            done.refused.append((work.picture.path, str(sight)))
        else:
            yield _Seen(work, sight, thumbnail(encoded[work.picture.path]))


def _row(seen: _Seen, about: str, meaning: npt.NDArray[np.float32]) -> dict[str, Any]:
    picture, sight = seen.work.picture, seen.sight
    captions = {CAPTIONS[language]: caption for language, caption in picture.captions.items()}
    return {
        "path": picture.path,
        "folder": picture.folder,
        "folders": folders_above(picture.folder),
        **captions,
        "names": [name for name, share in sight.names if share >= LIKELY_SHARE_MIN],
        "about": about,
        "picture": sight.vector,
        "meaning": meaning,
        "likely": json.dumps([(name, round(share, 4)) for name, share in sight.names]),
        "thumbnail": seen.thumbnail,
        "digest": seen.work.digest,
    }


def printable(path: str) -> str:
    """A path as it can be shown; the system has names that are no text."""
    return path.encode(errors="replace").decode()


def thumbnail(content: bytes) -> bytes:
    """A picture as WebP of at most 256 x 256 pixels. Raises PictureRefused."""
    image = decode_picture(content, LIMITS)
    image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_THUMBNAIL_QUALITY)
    return file.getvalue()
