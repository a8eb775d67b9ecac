"""The documents as the assistant has read them, with the passage that an answer is from."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

import lutra
from examples.assistant.library import Library
from examples.assistant.passages import COLUMNS, Passage, passage_of
from examples.shared.site import Asked, Site

DOCUMENTS_A_PAGE: Final = 200
PASSAGES_A_PAGE: Final = 60
_BEFORE: Final = 10
"""Passages that are shown before the one that a link leads to."""
_DIGITS_MAX: Final = 9


def address(document: str, number: int) -> str:
    """Of a passage within its document."""
    return f"/documents/{quote(document)}?passage={number}#passage-{number}"


class DocumentPages:
    """The list of documents, and each of them."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def add_to(self, site: Site) -> None:
        site.page("/documents", self.list)
        site.page("/documents/{document:path}", self.show)

    def list(self, asked: Asked) -> Response:
        """All documents, page by page."""
        after = asked.query.get("after", "")
        documents = self._library.listed(DOCUMENTS_A_PAGE + 1, after)
        more = documents[DOCUMENTS_A_PAGE - 1]["document"] if len(documents) > DOCUMENTS_A_PAGE else ""
        return asked.render(
            "documents.html",
            documents=documents[:DOCUMENTS_A_PAGE],
            in_all=self._library.documents.count(),
            passages=self._library.passages.count(),
            model=self._library.model,
            more=more,
        )

    def show(self, asked: Asked) -> Response:
        """A document from some passages before the one that ``passage=`` names, which is highlighted."""
        id_ = asked.request.path_params["document"]
        document = self._library.documents.get(id_) if 0 < len(id_.encode()) <= 1_024 else None
        if document is None or not document["passages"]:
            raise lutra.ObjectNotExist(asked.text("There is no such document."))
        chosen = _number(asked.query.get("passage"))
        first = max(chosen - _BEFORE, 0) if chosen is not None else _number(asked.query.get("from")) or 0
        rows = self._library.passages.scan(id_, start=first, columns=COLUMNS, limit=PASSAGES_A_PAGE)
        passages = [passage_of(row) for row in rows]
        last = passages[-1].number if passages else first
        return asked.render(
            "document.html",
            document=document,
            sections=_sections(passages, chosen),
            chosen=chosen,
            earlier=max(first - PASSAGES_A_PAGE, 0) if first > 0 else None,
            later=last + 1 if last + 1 < document["passages"] else None,
        )


def _sections(passages: list[Passage], chosen: int | None) -> list[dict[str, Any]]:
    """Passages, each with the titles that are new with it."""
    sections: list[dict[str, Any]] = []
    above: tuple[str, ...] = ()
    for passage in passages:
        common = 0
        while common < min(len(above), len(passage.titles)) and above[common] == passage.titles[common]:
            common += 1
        titles = [(level, passage.titles[level]) for level in range(common, len(passage.titles))]
        above = passage.titles
        sections.append(
            {
                "number": passage.number,
                "titles": titles,
                "page": passage.page,
                "is_chosen": passage.number == chosen,
                "parts": [{"kind": str(part.kind), "text": part.text} for part in passage.parts],
            }
        )
    return sections


def _number(text: str | None) -> int | None:
    """A passage's number; None where it is none."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > _DIGITS_MAX:
        return None
    return int(text)
