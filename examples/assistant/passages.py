"""Passages as they are read back from their table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from examples.assistant.chunks import Part
from examples.assistant.reading.document import BlockKind

COLUMNS: Final = ("text", "language", "kind", "title", "titles", "anchor", "page", "overlap", "parts")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage, and where it stands; see `examples.assistant.chunks.Chunk`. ``title`` is its document's."""

    document: str
    number: int
    title: str
    titles: tuple[str, ...]
    anchor: str
    page: int
    language: str
    kind: str
    overlap: str
    parts: tuple[Part, ...]

    @property
    def body(self) -> str:
        """What it says, without titles and what it repeats."""
        return "\n".join(part.text for part in self.parts)

    @property
    def key(self) -> tuple[str, int]:
        return self.document, self.number


def passage_of(row: Mapping[str, Any]) -> Passage:
    """The passage in a row with the key and COLUMNS."""
    return Passage(
        row["document"],
        row["number"],
        row["title"],
        tuple(row["titles"]),
        row["anchor"],
        row["page"],
        row["language"],
        row["kind"],
        row["overlap"],
        tuple(Part(BlockKind(kind), text, continues) for kind, text, continues in json.loads(row["parts"])),
    )
