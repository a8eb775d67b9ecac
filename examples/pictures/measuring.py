"""How well pictures are found, measured on a collection's own folders and captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

import lutra
from examples.pictures.collection import NoPictures, subject_of
from examples.pictures.gallery import CAPTIONS, Gallery, Question, likely_names, likely_text

_FIRST: Final = 5
_NEIGHBOURS: Final = 25
"""So many are looked at, so that five are left without the picture itself and other versions of it."""


@dataclass(frozen=True, slots=True)
class HitRate:
    """Of ``questions``, the share with a right answer at the first place, and among the first five."""

    questions: int
    at_1: float
    at_5: float


def measure(gallery: Gallery) -> dict[str, Any]:
    """All measurements, by what they are of; for JSON.

    By a picture, those count as found that are in the same folder, or have the same English caption, and are no other
    version of it. By a caption, the pictures that have the same one in English. Raises NoPictures.
    """
    rows = list(gallery.table.scan(columns=[*CAPTIONS.values(), "folder", "likely", "picture"]))
    if not rows:
        raise NoPictures("there is no picture that could be taken, so nothing to measure")
    return {
        "pictures": len(rows),
        "by_picture": {name: asdict(rate) for name, rate in _by_picture(gallery, rows).items()},
        "by_words": {name: asdict(rate) for name, rate in _by_words(gallery, rows).items()},
    }


def _by_picture(gallery: Gallery, rows: Sequence[lutra.Row]) -> dict[str, HitRate]:
    vectors = np.stack([row["picture"] for row in rows])
    found = gallery.table.search_many(vectors, field="picture", limit=_NEIGHBOURS, columns=["caption", "folder"])
    subjects = [subject_of(row["path"]) for row in rows]
    others = [
        [other for other in near if subject_of(other["path"]) != subject][:_FIRST]
        for subject, near in zip(subjects, found, strict=True)
    ]
    rates = {}
    for name, column in (("same folder", "folder"), ("same caption", "caption")):
        kinds = [row.get(column) or "" for row in rows]
        members = Counter(kind for kind, _ in set(zip(kinds, subjects, strict=True)))
        rates[name] = _rate(
            [
                [other.get(column) == kind for other in near]
                for kind, near in zip(kinds, others, strict=True)
                if kind and members[kind] > 1  # else there is nothing to be found
            ]
        )
    return rates


def _by_words(gallery: Gallery, rows: Sequence[lutra.Row]) -> dict[str, HitRate]:
    names = gallery.texts.embed([likely_text(likely_names(row)) for row in rows])
    captions = np.array([row.get("caption") or "" for row in rows])
    rates = {}
    for language, title in (("en", "English"), ("zh_CN", "Chinese")):
        column = CAPTIONS[language]
        asked = [row for row in rows if row.get(column) and row.get("caption") and _is_of(row, language)]
        texts = [row[column] for row in asked]
        vectors = gallery.texts.embed_query(texts)
        right = [row["caption"] for row in asked]

        near = gallery.table.search_many(vectors, field="meaning", limit=_FIRST, columns=["caption"])
        rates[f"{title} caption, vector"] = _rate(
            [[other.get("caption") == caption for other in found] for caption, found in zip(right, near, strict=True)]
        )
        rates[f"{title} caption, words and vector"] = _rate(
            [
                [find.row.get("caption") == caption for find in gallery.search(Question(text), _FIRST, vector).found]
                for text, vector, caption in zip(texts, vectors, right, strict=True)
            ]
        )
        nearest = np.argsort(-(vectors @ names.T), axis=1, kind="stable")[:, :_FIRST]
        rates[f"{title} caption, vector of likely names alone"] = _rate(
            [list(captions[found] == caption) for caption, found in zip(right, nearest, strict=True)]
        )
    return rates


def _is_of(row: lutra.Row, language: str) -> bool:
    """Whether the caption is translated: some are English in all languages."""
    return language == "en" or row[CAPTIONS[language]] != row["caption"]


def _rate(hits: Sequence[Sequence[bool]]) -> HitRate:
    if not hits:
        return HitRate(0, 0.0, 0.0)
    first = sum(bool(found and found[0]) for found in hits)
    return HitRate(len(hits), round(first / len(hits), 4), round(sum(map(any, hits)) / len(hits), 4))
