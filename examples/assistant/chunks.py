"""Documents to passages: what fits a model's attention, cut at headings, paragraphs and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from examples.assistant.reading.document import Block, BlockKind
from examples.assistant.sentences import sentences, token_count

VERSION: Final = 1
"""Of how documents are cut: raise it when the same document gives other passages."""
TOKENS_MAX: Final = 200
OVERLAP_TOKENS_MAX: Final = 30
_BETWEEN_TITLES: Final = " › "


@dataclass(frozen=True, slots=True)
class Part:
    """A block, or a piece of a long one; ``continues`` where its block began in a part before."""

    kind: BlockKind
    text: str
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document.

    ``titles`` are the headings it stands under, outermost first; ``anchor`` is the innermost one's, ``page`` the page
    it begins on. ``overlap`` repeats the end of the passage before it, in the same section, for what its first words
    refer to; what the document says is in ``parts``.
    """

    number: int
    titles: tuple[str, ...]
    anchor: str
    page: int
    overlap: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """What is searched and embedded: the titles, then the passage with its overlap."""
        lines = [_BETWEEN_TITLES.join(self.titles)] if self.titles else []
        if self.overlap:
            lines.append(self.overlap)
        return "\n".join([*lines, *(part.text for part in self.parts)])


@dataclass(slots=True)
class _Section:
    """The parts of one section of a document, and where it is."""

    titles: tuple[str, ...] = ()
    anchor: str = ""
    blocks: list[Block] = field(default_factory=list)


def chunks_of(
    blocks: Iterable[Block], tokens_max: int = TOKENS_MAX, overlap_tokens_max: int = OVERLAP_TOKENS_MAX
) -> list[Chunk]:
    """The passages of a document in order: each is within one section, and has at most ``tokens_max`` tokens, titles
    apart, of which ``overlap_tokens_max`` may be repeated. Every block is in them, whole or in pieces in order.
    """
    chunks: list[Chunk] = []
    for section in _sections(blocks):
        overlap = ""
        for parts, page in _packed(section.blocks, tokens_max, overlap_tokens_max):
            needed = _size(parts)
            kept = overlap if token_count(overlap) + needed <= tokens_max else ""
            chunks.append(Chunk(len(chunks), section.titles, section.anchor, page, kept, tuple(parts)))
            overlap = _tail(parts[-1].text, overlap_tokens_max)
    return chunks


def _sections(blocks: Iterable[Block]) -> Iterator[_Section]:
    """What stands between headings, where something does. A heading with nothing under it is a section of itself."""
    path: list[Block] = []
    section = _Section()
    for block in blocks:
        if block.kind is not BlockKind.HEADING:
            section.blocks.append(block)
            continue
        if section.blocks:
            yield section
        elif path and block.level <= path[-1].level:
            yield _alone(path)
        while path and path[-1].level >= block.level:
            path.pop()
        path.append(block)
        section = _Section(tuple(heading.text for heading in path), block.anchor)
    if section.blocks:
        yield section
    elif path:
        yield _alone(path)


def _alone(path: list[Block]) -> _Section:
    heading = path[-1]
    return _Section(tuple(above.text for above in path[:-1]), heading.anchor, [heading])


def _packed(blocks: list[Block], tokens_max: int, overlap_tokens_max: int) -> Iterator[tuple[list[Part], int]]:
    """As many parts as fit, time and again, with the page of the first."""
    room = max(tokens_max - overlap_tokens_max, 1)
    parts: list[Part] = []
    page = 0
    used = 0
    for block in blocks:
        for part in _pieces(block, room):
            needed = _size([part])
            if parts and used + needed > room:
                yield parts, page
                parts, used = [], 0
            if not parts:
                page = block.page
            parts.append(part)
            used += needed
    if parts:
        yield parts, page


def _pieces(block: Block, tokens_max: int) -> Iterator[Part]:
    """The block, cut at its sentences where it is too long, and where a sentence is too long, anywhere."""
    text = ""
    begun = False
    for sentence in sentences(block.text):
        for piece in _cut(sentence, tokens_max):
            if text and _size([Part(block.kind, text + piece)]) > tokens_max:
                yield Part(block.kind, text, begun)
                text, begun = "", True
            text += piece
    if text:
        yield Part(block.kind, text, begun)


def _cut(text: str, tokens_max: int) -> Iterator[str]:
    """``text`` in pieces of at most ``tokens_max`` tokens, at white space where there is some in the last half."""
    while token_count(text) + 1 > tokens_max and len(text) > 1:
        # No character is more than one token, so this many fit; a longer piece is looked for by halves.
        low, high = min(max(tokens_max - 1, 1), len(text) - 1), len(text) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if token_count(text[:middle]) + 1 <= tokens_max else (low, middle - 1)
        space = max(text.rfind(mark, low // 2, low) for mark in " \n\t")
        end = space + 1 if space > 0 else low
        yield text[:end]
        text = text[end:]
    yield text


def _size(parts: list[Part]) -> int:
    """Tokens of the parts with the line ends between them."""
    return sum(token_count(part.text) + 1 for part in parts)


def _tail(text: str, tokens_max: int) -> str:
    """The last whole sentences of ``text`` that fit; none where the last is too long itself."""
    tail = ""
    for sentence in reversed(sentences(text)):
        if token_count(sentence + tail) > tokens_max:
            break
        tail = sentence + tail
    return tail.strip()
