"""HTML to blocks: what a reader sees, without navigation."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import Final

from bs4 import BeautifulSoup, Tag, XMLParsedAsHTMLWarning
from bs4.element import Comment, NavigableString, PreformattedString

from examples.assistant.reading.document import Block, BlockKind, Document, language_of, on_one_line, shortened

_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_LEFT_OUT: Final = frozenset(
    re.findall(
        r"\S+",
        """
        script style template noscript nav form button select input svg math iframe object head title
        """,
    )
)
# Lists of contents and rows of links, as DocBook, Publican and Sphinx name them.
_LEFT_OUT_CLASSES: Final = frozenset(
    re.findall(
        r"\S+",
        """
        toc toctree-wrapper navheader navfooter docnav sphinxsidebar headerlink related breadcrumbs
        """,
    )
)
_BLOCKS: Final = frozenset(
    re.findall(
        r"\S+",
        """
        address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure
        footer header hr legend li main ol p pre section summary table tbody td tfoot th thead tr ul
        """,
    )
)
_ITEMS: Final = frozenset({"li", "dt", "dd"})
_CELLS: Final = frozenset({"td", "th"})
_CELL_END: Final = " | "


def read_html(content: bytes, name: str, language: str) -> Document:
    """The document in ``content``; its encoding is what it declares, or looks like.

    Its title is that of its head, its first heading, or ``name``; ``language`` counts where it declares none.
    """
    with warnings.catch_warnings():
        # XHTML is read as browsers read it where it is served as HTML: forgivingly.
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        soup = BeautifulSoup(content, "lxml")
    body = soup.body if isinstance(soup.body, Tag) else soup
    blocks = tuple(_Walk().blocks(body))
    headings = [block.text for block in blocks if block.kind is BlockKind.HEADING]
    title = shortened(soup.title.get_text() if soup.title is not None else "")
    return Document(
        title or (headings[0] if headings else shortened(name)),
        language_of(blocks, _declared_language(soup), language),
        "html",
        blocks,
    )


def _declared_language(soup: BeautifulSoup) -> str:
    for tag in (soup.html, soup.body):
        for attribute in ("lang", "xml:lang"):
            if tag is not None and isinstance(value := tag.get(attribute), str) and value:
                return value
    return ""


class _Walk:
    """Goes through the tree once, without recursion: pages of strangers may be deep."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._text: list[str] = []
        self._anchor = ""
        self._open: Counter[str] = Counter()

    def blocks(self, root: Tag) -> list[Block]:
        stack: list[Tag | NavigableString | str] = [root]
        while stack:
            node = stack.pop()
            if isinstance(node, Tag):
                if _is_left_out(node):
                    continue
                if node.name in _HEADINGS:
                    self._flush()
                    self._add_heading(node)
                    continue
                if node.name == "br":
                    self._text.append("\n" if self._open["pre"] else " ")
                    continue
                if node.name in _BLOCKS:
                    self._begin(node.name)
                    stack.append(node.name)
                if isinstance(anchor := node.get("id"), str) and node.name in ("section", "div", "article"):
                    self._anchor = anchor
                children = [child for child in node.children if isinstance(child, Tag | NavigableString)]
                stack.extend(reversed(children))
            elif isinstance(node, NavigableString):
                if not isinstance(node, Comment | PreformattedString):
                    self._text.append(str(node))
            else:
                self._end(node)
        self._flush()
        return self._blocks

    def _begin(self, name: str) -> None:
        if not (name in _CELLS or self._in_row()):
            self._flush()
        self._open[name] += 1

    def _end(self, name: str) -> None:
        if name in _CELLS:
            self._text.append(_CELL_END)
        elif name == "tr" or not self._in_row():
            self._flush()
        else:
            self._text.append(" ")
        self._open[name] -= 1

    def _in_row(self) -> bool:
        return self._open["tr"] > 0

    def _flush(self) -> None:
        """What was gathered becomes a block of the kind that is open."""
        raw = "".join(self._text)
        self._text.clear()
        if self._in_row():
            cells = [on_one_line(cell) for cell in raw.split(_CELL_END)]
            kind, text = BlockKind.ROW, _CELL_END.join(cell for cell in cells if cell)
        elif self._open["pre"]:
            kind, text = BlockKind.CODE, raw.strip("\n").rstrip()
        else:
            kind = BlockKind.ITEM if any(self._open[name] for name in _ITEMS) else BlockKind.PARAGRAPH
            text = on_one_line(raw)
        if text:
            self._blocks.append(Block(kind, text))

    def _add_heading(self, node: Tag) -> None:
        text = shortened(node.get_text())
        if not text:
            return
        anchor = _anchor_in(node) or self._anchor
        self._blocks.append(Block(BlockKind.HEADING, text, _HEADINGS[node.name], anchor))
        self._anchor = ""


def _is_left_out(node: Tag) -> bool:
    if node.name in _LEFT_OUT or node.has_attr("hidden") or node.get("role") == "navigation":
        return True
    classes = node.get("class")
    return isinstance(classes, list) and not _LEFT_OUT_CLASSES.isdisjoint(classes)


def _anchor_in(heading: Tag) -> str:
    """The heading's own id, or that of an anchor within it."""
    for tag in (heading, *heading.find_all("a")):
        for attribute in ("id", "name"):
            if isinstance(value := tag.get(attribute), str) and value:
                return value
    return ""
