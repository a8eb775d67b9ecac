"""The assistant's memory: conversations and what was said in them, in two tables."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

import lutra

CONVERSATIONS: Final = "assistant_conversations"
MESSAGES: Final = "assistant_messages"
CONVERSATIONS_MAX: Final = 10_000
MESSAGES_MAX: Final = 400
"""Of one conversation."""
TITLE_CHARS_MAX: Final = 80
_ID_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    title: str
    begun: dt.datetime
    updated: dt.datetime
    questions: int


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody said. Of the assistant: ``way`` is how the answer came about, ``note`` why not otherwise, and
    ``sources`` are JSON objects, as they were given to `Conversations.add`.
    """

    number: int
    role: str
    text: str
    at: dt.datetime
    way: str = ""
    note: str = ""
    sources: tuple[dict[str, Any], ...] = ()


class Conversations:
    """All of them. Thread-safe."""

    def __init__(self, database: lutra.Database) -> None:
        self._conversations = database.create_table(
            CONVERSATIONS,
            key={"conversation": str},
            fields={"title": lutra.Stored(str), "begun": dt.datetime, "updated": dt.datetime, "questions": int},
            exist_ok=True,
        )
        self._messages = database.create_table(
            MESSAGES,
            key={"conversation": str, "number": lutra.AUTO_INCREMENT},
            fields={
                "role": str,
                "text": lutra.Stored(str),
                "at": dt.datetime,
                "way": lutra.Stored(str),
                "note": lutra.Stored(str),
                "sources": lutra.Stored(str),
            },
            exist_ok=True,
        )

    def begin(self, question: str) -> Conversation:
        """A new conversation, titled by its first question. Raises QuotaExhausted where there are too many."""
        if self._conversations.count() >= CONVERSATIONS_MAX:
            raise lutra.QuotaExhausted(f"there are {CONVERSATIONS_MAX:,} conversations: delete some")
        now = dt.datetime.now(dt.UTC)
        title = " ".join(question.split())
        title = title if len(title) <= TITLE_CHARS_MAX else title[: TITLE_CHARS_MAX - 1] + "…"
        id_ = secrets.token_urlsafe(_ID_BYTES)
        row = {"conversation": id_, "title": title, "begun": now, "updated": now, "questions": 0}
        self._conversations.put(row)
        return _conversation(row)

    def get(self, id_: str) -> Conversation:
        """Raises ObjectNotExist where there is none of that id."""
        row = self._conversations.get(id_) if 0 < len(id_) <= 100 else None
        if row is None:
            raise lutra.ObjectNotExist("there is no such conversation")
        return _conversation(row)

    def latest(self, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Those last spoken in, the latest first."""
        rows = self._conversations.search(order_by=lutra.col("updated").desc(), limit=limit, offset=offset)
        return [_conversation(row) for row in rows]

    def messages(self, id_: str, last: int | None = None) -> list[Message]:
        """All that was said, or the last so many, in order."""
        rows = list(self._messages.scan(id_, reverse=True, limit=last))
        return [_message(row) for row in reversed(rows)]

    def ask(self, id_: str, question: str) -> int:
        """Notes a question, and gives its number. Raises ObjectNotExist, QuotaExhausted where there are too many."""
        conversation = self.get(id_)
        if 2 * conversation.questions >= MESSAGES_MAX:
            raise lutra.QuotaExhausted(f"a conversation has at most {MESSAGES_MAX // 2} questions: begin another")
        now = dt.datetime.now(dt.UTC)
        key = self._messages.put({"conversation": id_, "role": "user", "text": question, "at": now})
        self._conversations.update(id_, set={"updated": now}, increment={"questions": 1}, exists=True)
        return _number(key)

    def answer(self, id_: str, text: str, way: str, note: str, sources: list[dict[str, Any]]) -> int | None:
        """Notes an answer, and gives its number; None where the conversation was deleted meanwhile."""
        now = dt.datetime.now(dt.UTC)
        key = self._messages.put(
            {
                "conversation": id_,
                "role": "assistant",
                "text": text,
                "at": now,
                "way": way,
                "note": note,
                "sources": json.dumps(sources, ensure_ascii=False),
            }
        )
        try:
            self._conversations.update(id_, set={"updated": now}, exists=True)
        except lutra.ConditionCheckFail:
            self._messages.delete(*key)
            return None
        return _number(key)

    def delete(self, id_: str) -> None:
        """Deletes the conversation and all that was said in it. Raises ObjectNotExist where there is none."""
        self.get(id_)
        # In this order: what is left where it breaks off can still be seen, and deleted.
        self._messages.delete_many(row.key for row in self._messages.scan(id_, columns=["role"]))
        self._conversations.delete(id_)


def _number(key: tuple[Any, ...]) -> int:
    return int(key[1])


def _conversation(row: Any) -> Conversation:
    return Conversation(row["conversation"], row["title"], row["begun"], row["updated"], row["questions"])


def _message(row: Any) -> Message:
    return Message(
        row["number"],
        row["role"],
        row["text"],
        row["at"],
        row.get("way", ""),
        row.get("note", ""),
        tuple(json.loads(row.get("sources", "[]"))),
    )
