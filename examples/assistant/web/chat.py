"""The chat: conversations, questions, and answers as they are written."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

import lutra
from examples.assistant.answering import TURNS_REMEMBERED, Answered, Answerer, Piece, SourcesFound
from examples.assistant.conversations import Conversations, Message
from examples.assistant.library import Library
from examples.assistant.retrieval import QUESTION_CHARS_MAX, Filters
from examples.assistant.shown import source_of, spans, turns_of
from examples.assistant.web.documents import address
from examples.shared.site import Asked, Site
from lutra.model.errors import ParameterInvalid, ServerBusy

CONVERSATIONS_SHOWN: Final = 50
MESSAGES_SHOWN: Final = 60
"""Of one conversation: the last ones."""
DOCUMENTS_OFFERED: Final = 500
ANSWERS_AT_ONCE: Final = 4
_LINES: Final = "application/x-ndjson"
_DOCUMENT_BYTES_MAX: Final = 1_024
_LANGUAGE_CHARS_MAX: Final = 16
_BROKEN_OFF: Final = "The answer was broken off."


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    filters: Filters


class ChatPages:
    """The pages of the chat."""

    def __init__(self, library: Library, conversations: Conversations, answerer: Answerer) -> None:
        self._library = library
        self._conversations = conversations
        self._answerer = answerer
        self._free = threading.BoundedSemaphore(ANSWERS_AT_ONCE)

    def add_to(self, site: Site) -> None:
        site.page("/", self.show)
        site.page("/c/{id}", self.show)
        site.action("/ask", self.ask)
        site.action("/c/{id}/ask", self.ask)
        site.action("/c/{id}/delete", self.delete)

    def show(self, asked: Asked) -> Response:
        """A conversation, or the beginning of one."""
        id_ = asked.request.path_params.get("id")
        return self._page(asked, id_)

    def ask(self, asked: Asked) -> Response:
        """Answers a question: as lines of JSON while it is written, for the page's script; else as a whole."""
        id_ = asked.request.path_params.get("id")
        question = _question(asked)
        if isinstance(question, str):
            if _LINES in asked.request.headers.get("accept", ""):
                raise ParameterInvalid(question)
            return self._page(asked, id_, 400, problem=question)
        if not self._free.acquire(blocking=False):
            raise ServerBusy(asked.text("Too many questions are being answered. Ask again in a moment."))
        try:
            conversation = self._conversations.get(id_) if id_ else self._conversations.begin(question.text)
            turns = turns_of(self._conversations, conversation.id, TURNS_REMEMBERED)
            number = self._conversations.ask(conversation.id, question.text)
            events = self._answerer.answer(question.text, turns, question.filters)
            written = self._written(asked, conversation.id, number, events)
            begun = next(written)  # from here on it cleans up by itself, even if nobody asks it for more
        except BaseException:
            self._free.release()
            raise
        if _LINES in asked.request.headers.get("accept", ""):
            lines = itertools.chain([begun], written)
            return StreamingResponse(lines, headers={"cache-control": "no-store"}, media_type=_LINES)
        for _ in written:
            pass
        return asked.redirect(f"/c/{conversation.id}#end")

    def delete(self, asked: Asked) -> Response:
        """Deletes a conversation."""
        self._conversations.delete(asked.request.path_params["id"])
        return asked.redirect("/")

    def _written(self, asked: Asked, id_: str, number: int, events: Iterator[Any]) -> Iterator[str]:
        """Lines of JSON, while the answer is written; it is kept at the end, or as far as it came."""
        sources: list[dict[str, Any]] = []
        text: list[str] = []
        end: Answered | None = None
        try:
            yield _line({"kind": "begun", "conversation": id_})
            for event in events:
                if isinstance(event, SourcesFound):
                    sources = [source_of(one) for one in event.found]
                elif isinstance(event, Piece):
                    text.append(event.text)
                    yield _line({"kind": "piece", "text": event.text})
                else:
                    end = event
        except lutra.LutraError as error:
            end = Answered("".join(text), "", str(error))
        finally:
            # A browser that goes away closes this generator wherever it is.
            kept = end or Answered("".join(text), "", _BROKEN_OFF)
            try:
                self._conversations.answer(id_, kept.text, kept.way, kept.note, sources)
            finally:
                self._free.release()
        yield _line(self._end(asked, id_, number))

    def _end(self, asked: Asked, id_: str, number: int) -> dict[str, str]:
        """The last line: what of the page has changed since the question of that number, as the server renders it."""
        context = self._context(id_)
        last = [message for message in context["messages"] if message["number"] >= number]
        return {
            "kind": "end",
            "conversation": id_,
            "title": context["conversation"].title,
            "messages": asked.fragment("messages.html", **{**context, "messages": last}),
            "conversations": asked.fragment("conversations.html", **context),
        }

    def _page(self, asked: Asked, id_: str | None, status: int = 200, problem: str = "") -> Response:
        typed = {name: str(asked.form.get(name, "")) for name in ("question", "document", "language")}
        return asked.render("chat.html", status, problem=problem, typed=typed, **self._context(id_))

    def _context(self, id_: str | None) -> dict[str, Any]:
        conversation = self._conversations.get(id_) if id_ else None
        messages = self._conversations.messages(id_, MESSAGES_SHOWN) if id_ else []
        documents = self._library.listed(DOCUMENTS_OFFERED)
        return {
            "conversation": conversation,
            "conversations": self._conversations.latest(CONVERSATIONS_SHOWN),
            "messages": [_shown(message) for message in messages],
            "messages_hidden": conversation is not None and 2 * conversation.questions > MESSAGES_SHOWN,
            "documents": documents,
            "documents_in_all": self._library.documents.count(),
            "document_languages": self._library.languages(),
            "question_chars_max": QUESTION_CHARS_MAX,
            "address": address,
        }


def _question(asked: Asked) -> _Question | str:
    """The form's question, or what is wrong with it."""
    values = {name: asked.form.get(name, "") for name in ("question", "document", "language")}
    question, document, language = (value if isinstance(value, str) else "" for value in values.values())
    question = question.replace("\0", "").strip()
    if not question:
        return asked.text("Type a question.")
    if len(question) > QUESTION_CHARS_MAX:
        return asked.text("A question has at most {number} characters.", number=QUESTION_CHARS_MAX)
    if len(document.encode()) > _DOCUMENT_BYTES_MAX or len(language) > _LANGUAGE_CHARS_MAX:
        return asked.text("There is no such document.")
    return _Question(question, Filters((document,) if document else (), language))


def _shown(message: Message) -> dict[str, Any]:
    return {
        "number": message.number,
        "is_question": message.role == "user",
        "text": message.text,
        "spans": spans(message.text, len(message.sources)),
        "cited": sorted({span.source for span in spans(message.text, len(message.sources)) if span.source}),
        "at_us": int(message.at.timestamp() * 1_000_000),
        "way": message.way,
        "note": message.note,
        "sources": message.sources,
    }


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
