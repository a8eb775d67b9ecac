"""A document that was read: blocks of text in order, headings among them."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

LANGUAGE_CHARS_MAX: Final = 8
TITLE_CHARS_MAX: Final = 200

_WHITE_SPACE: Final = re.compile(r"\s+")
_CHINESE: Final = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LETTER: Final = re.compile(r"[^\W\d_]")
_CHINESE_SHARE_MIN: Final = 0.2
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?![A-Za-z])")


class UnreadableDocument(Exception):
    """The file is broken, too large, or not what its name says; the text says which, for whoever gave it."""


class BlockKind(enum.StrEnum):
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    CODE = "code"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, heading, item of a list, piece of code or row of a table; ``text`` is never empty.

    ``level`` is a heading's, 1 to 6, and 0 for others. ``anchor`` names the place within the document that a link can
    lead to, as a heading has it; ``page`` is the page of a PDF from 1, 0 for others.
    """

    kind: BlockKind
    text: str
    level: int = 0
    anchor: str = ""
    page: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. ``language`` is a code such as ``en`` or ``zh``; ``kind`` is html, markdown, pdf or text."""

    title: str
    language: str
    kind: str
    blocks: tuple[Block, ...]


def on_one_line(text: str) -> str:
    """``text`` with single spaces between its words."""
    return _WHITE_SPACE.sub(" ", text).strip()


def shortened(title: str) -> str:
    """A title on one line, cut where it is too long to be one."""
    title = on_one_line(title)
    return title if len(title) <= TITLE_CHARS_MAX else title[: TITLE_CHARS_MAX - 1] + "…"


def language_of(blocks: tuple[Block, ...], declared: str, otherwise: str) -> str:
    """The language that a document declares (``zh-CN`` is ``zh``), else Chinese where it is written so, else the other.

    Only Chinese shows in its characters; what an undeclared text in letters is, whoever runs the example knows.
    """
    match = _LANGUAGE.match(declared.strip())
    if match is not None:
        return match[0].lower()
    text = "".join(block.text for block in blocks[:1_000])
    letters = len(_LETTER.findall(text))
    return "zh" if letters and len(_CHINESE.findall(text)) / letters >= _CHINESE_SHARE_MIN else otherwise
