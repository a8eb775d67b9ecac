"""PDF to blocks, page by page."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any, Final

from pypdf import PdfReader
from pypdf.generic import Destination

from examples.assistant.reading.document import (
    Block,
    BlockKind,
    Document,
    UnreadableDocument,
    language_of,
    on_one_line,
    shortened,
)

PAGES_MAX: Final = 2_000
_OUTLINE_ENTRIES_MAX: Final = 10_000
_HYPHEN_AT_LINE_END: Final = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_PARAGRAPH_END: Final = re.compile(r"\n[ \t]*\n+|(?<=[.!?:。！？：])[ \t]*\n(?=[A-Z\u3400-\u9fff•\d])")
"""PDFs have lines, not paragraphs: one ends at an empty line, or where a sentence and a line end together."""

# Of every oddity in a file that it reads all the same.
logging.getLogger("pypdf").setLevel(logging.ERROR)


def read_pdf(content: bytes, name: str, language: str) -> Document:
    """The document in ``content``: each page's text, and its outline's titles as headings of the pages they lead to.

    Raises UnreadableDocument where it is broken, locked with a password, or has more than PAGES_MAX pages.
    """
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableDocument("it is locked with a password")
        count = len(reader.pages)
        if count > PAGES_MAX:
            raise UnreadableDocument(f"it has {count:,} pages, more than {PAGES_MAX:,}")
        blocks = tuple(_blocks(reader))
        title = shortened(str((reader.metadata.title if reader.metadata is not None else "") or ""))
    except UnreadableDocument:
        raise
    except Exception as error:  # a broken file fails wherever the library first trusts it
        raise UnreadableDocument(f"it is no PDF that can be read: {error or type(error).__name__}") from error
    return Document(title or shortened(name), language_of(blocks, "", language), "pdf", blocks)


def _blocks(reader: PdfReader) -> Iterator[Block]:
    headings: dict[int, list[tuple[int, str]]] = {}
    for level, destination in _outline(reader):
        page = reader.get_destination_page_number(destination)
        if page is not None:
            headings.setdefault(page, []).append((level, shortened(str(destination.title))))
    for number, page_object in enumerate(reader.pages):
        anchor = f"page-{number + 1}"
        for level, title in headings.get(number, []):
            if title:
                yield Block(BlockKind.HEADING, title, level, anchor, number + 1)
        text = _HYPHEN_AT_LINE_END.sub("", page_object.extract_text())
        for paragraph in _PARAGRAPH_END.split(text):
            if line := on_one_line(paragraph):
                yield Block(BlockKind.PARAGRAPH, line, 0, anchor, number + 1)


def _outline(reader: PdfReader) -> Iterator[tuple[int, Destination]]:
    """The outline's entries in order with their levels, 1 to 6."""
    stack: list[tuple[int, Iterator[Any]]] = [(1, iter(reader.outline))]
    for _ in range(_OUTLINE_ENTRIES_MAX):
        if not stack:
            return
        level, entries = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, list):
            stack.append((min(level + 1, 6), iter(entry)))
        elif isinstance(entry, Destination):
            yield level, entry
