"""Plain text to blocks: paragraphs between empty lines."""

from __future__ import annotations

import codecs
import re
from typing import Final

from examples.assistant.reading.document import (
    Block,
    BlockKind,
    Document,
    UnreadableDocument,
    language_of,
    on_one_line,
    shortened,
)

_BETWEEN_PARAGRAPHS: Final = re.compile(r"\n(?:[ \t]*\n)+")
_ENCODINGS: Final = ("utf-8-sig", "gb18030")
"""Tried in this order: bytes of the second are hardly ever valid in the first."""


def read_plain(content: bytes, name: str, language: str) -> Document:
    """The text in ``content``, titled ``name``. Paragraphs whose lines are all indented keep their lines, as code does.

    Raises UnreadableDocument where it is not text.
    """
    blocks = []
    for paragraph in _BETWEEN_PARAGRAPHS.split(decoded(content).replace("\r\n", "\n").strip("\n")):
        lines = paragraph.split("\n")
        if all(line.startswith((" ", "\t")) for line in lines):
            kind, text = BlockKind.CODE, paragraph.rstrip()
        else:
            kind, text = BlockKind.PARAGRAPH, on_one_line(paragraph)
        if text.strip():
            blocks.append(Block(kind, text))
    found = tuple(blocks)
    return Document(shortened(name), language_of(found, "", language), "text", found)


def decoded(content: bytes) -> str:
    """``content`` as text: UTF-8, UTF-16 with its mark, or GB 18030. Raises UnreadableDocument where it is none."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = _ENCODINGS
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise UnreadableDocument("it is not text in UTF-8, UTF-16 or GB 18030")
