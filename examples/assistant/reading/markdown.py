"""Markdown to blocks: CommonMark with tables."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from markdown_it.token import Token

from examples.assistant.reading.document import Block, BlockKind, Document, language_of, on_one_line, shortened
from examples.assistant.reading.plain import decoded

_FRONT_MATTER: Final = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_NOT_IN_ANCHORS: Final = re.compile(r"[^\w\- ]")
_PARSER: Final = MarkdownIt("commonmark").enable("table")


def read_markdown(content: bytes, name: str, language: str) -> Document:
    """The document in ``content``; its title is its first heading, or ``name``. Front matter is left out.

    Anchors are what code forges make of headings. Raises UnreadableDocument where it is not text.
    """
    text = _FRONT_MATTER.sub("", decoded(content).replace("\r\n", "\n"), count=1)
    blocks = tuple(_blocks(_PARSER.parse(text)))
    headings = [block.text for block in blocks if block.kind is BlockKind.HEADING]
    return Document(headings[0] if headings else shortened(name), language_of(blocks, "", language), "markdown", blocks)


def _blocks(tokens: list[Token]) -> list[Block]:
    blocks: list[Block] = []
    seen: Counter[str] = Counter()
    within: list[Token] = []
    cells: list[str] = []
    for token in tokens:
        if token.nesting == 1:
            within.append(token)
        elif token.nesting == -1:
            if token.type == "tr_close":
                _add(blocks, BlockKind.ROW, " | ".join(cell for cell in cells if cell))
                cells.clear()
            within.pop()
        elif token.type in ("fence", "code_block"):
            _add(blocks, BlockKind.CODE, token.content.strip("\n").rstrip())
        elif token.type == "html_block":
            _add(blocks, BlockKind.PARAGRAPH, on_one_line(_without_tags(token.content)))
        elif token.type == "inline":
            text = on_one_line(_inline_text(token))
            around = {outer.type for outer in within}
            if "tr_open" in around:
                cells.append(text)
            elif "heading_open" in around and text:
                level = int(within[-1].tag.removeprefix("h"))
                blocks.append(Block(BlockKind.HEADING, shortened(text), level, _anchor(text, seen)))
            else:
                _add(blocks, BlockKind.ITEM if "list_item_open" in around else BlockKind.PARAGRAPH, text)
    return blocks


def _add(blocks: list[Block], kind: BlockKind, text: str) -> None:
    if text:
        blocks.append(Block(kind, text))


def _inline_text(token: Token) -> str:
    parts = []
    for child in token.children or []:
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "image":
            parts.append(child.content)  # what stands for the picture
    return "".join(parts)


def _without_tags(html: str) -> str:
    return BeautifulSoup(html, "lxml").get_text(" ")


def _anchor(title: str, seen: Counter[str]) -> str:
    """The heading's anchor; the second of the same words gets ``-1``, and so on."""
    anchor = _NOT_IN_ANCHORS.sub("", title.lower()).replace(" ", "-")
    seen[anchor] += 1
    return anchor if seen[anchor] == 1 else f"{anchor}-{seen[anchor] - 1}"
