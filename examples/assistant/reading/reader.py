"""Files to documents: which kind a file is, and how large it may be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from examples.assistant.reading.document import Document, UnreadableDocument
from examples.assistant.reading.html import read_html
from examples.assistant.reading.markdown import read_markdown
from examples.assistant.reading.pdf import read_pdf
from examples.assistant.reading.plain import read_plain

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
TEXT_CHARS_MAX: Final = 10_000_000
BLOCKS_MAX: Final = 200_000

_READERS: Final[dict[str, Callable[[bytes, str, str], Document]]] = {
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".pdf": read_pdf,
    ".txt": read_plain,
    ".text": read_plain,
}
SUFFIXES: Final = frozenset(_READERS)


def read_bytes(path: Path) -> bytes:
    """What is in the file. Raises UnreadableDocument where it is too large or cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UnreadableDocument(error.strerror or str(error)) from error
    if len(content) > FILE_BYTES_MAX:
        raise UnreadableDocument(f"it is larger than {FILE_BYTES_MAX // 1024 // 1024} MB")
    return content


def read_document(content: bytes, path: Path, language: str) -> Document:
    """The document that ``content``, the bytes of the file at ``path``, is; its suffix says of which kind.

    ``language`` counts where a document declares none. Raises UnreadableDocument where it is broken, has no text, or
    too much.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise UnreadableDocument(f"{path.suffix or 'no suffix'} is none of {', '.join(sorted(SUFFIXES))}")
    document = read(content, path.name, language)
    if not document.blocks:
        raise UnreadableDocument("there is no text in it")
    if len(document.blocks) > BLOCKS_MAX or sum(len(block.text) for block in document.blocks) > TEXT_CHARS_MAX:
        raise UnreadableDocument(f"it has more than {TEXT_CHARS_MAX:,} characters or {BLOCKS_MAX:,} paragraphs")
    return document
