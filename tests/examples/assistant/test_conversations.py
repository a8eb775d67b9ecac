"""Conversations are remembered in tables, listed, gone on with, and deleted."""

from pathlib import Path

import pytest

import lutra
from examples.assistant import conversations as module
from examples.assistant.answering import Turn
from examples.assistant.conversations import TITLE_CHARS_MAX, Conversations
from examples.assistant.shown import turns_of


def say(conversations: Conversations, id_: str, question: str, answer: str) -> None:
    conversations.ask(id_, question)
    conversations.answer(id_, answer, "sentences", "", [{"document": "d", "number": 1}])


def test_a_conversation_is_there_after_a_restart(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as database:
        conversations = Conversations(database)
        first = conversations.begin("What do\notters eat? " + "x" * 200)
        assert len(first.title) == TITLE_CHARS_MAX
        assert first.title.startswith("What do otters eat? x")
        second = conversations.begin("水獭吃什么？")
        say(conversations, second.id, "水獭吃什么？", "鱼。 [1]")
        for number in range(3):
            say(conversations, first.id, f"Question {number}", f"Answer {number}")
    with lutra.connect(tmp_path) as database:
        conversations = Conversations(database)
        assert [one.id for one in conversations.latest()] == [first.id, second.id], "the latest spoken in comes first"
        assert conversations.latest(1, 1)[0].title == "水獭吃什么？"
        there = conversations.get(first.id)
        assert (there.questions, there.begun) == (3, first.begun)
        messages = conversations.messages(first.id)
        assert [(one.role, one.text) for one in messages[:2]] == [("user", "Question 0"), ("assistant", "Answer 0")]
        assert messages[1].sources == ({"document": "d", "number": 1},)
        assert len(messages) == 6
        assert [one.text for one in conversations.messages(first.id, 2)] == ["Question 2", "Answer 2"]
        assert turns_of(conversations, first.id, 2) == [Turn("Question 1", "Answer 1"), Turn("Question 2", "Answer 2")]
        conversations.ask(first.id, "Unanswered")
        assert turns_of(conversations, first.id, 1) == [Turn("Unanswered", "")]


def test_a_deleted_conversation_is_gone(database: lutra.Database) -> None:
    conversations = Conversations(database)
    kept, gone = conversations.begin("Kept"), conversations.begin("Gone")
    for one in (kept, gone):
        say(conversations, one.id, "Q", "A")
    conversations.ask(gone.id, "Another")
    conversations.delete(gone.id)
    assert [one.id for one in conversations.latest()] == [kept.id]
    assert conversations.messages(gone.id) == []
    assert len(conversations.messages(kept.id)) == 2
    for call in (conversations.get, conversations.delete, lambda id_: conversations.ask(id_, "Q")):
        with pytest.raises(lutra.ObjectNotExist, match="no such conversation"):
            call(gone.id)
    with pytest.raises(lutra.ObjectNotExist):
        conversations.get("x" * 5_000)
    assert conversations.answer(gone.id, "Late", "sentences", "", []) is None, (
        "an answer that comes too late is dropped"
    )
    assert conversations.messages(gone.id) == []


def test_limits(database: lutra.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    conversations = Conversations(database)
    monkeypatch.setattr(module, "CONVERSATIONS_MAX", 1)
    monkeypatch.setattr(module, "MESSAGES_MAX", 4)
    one = conversations.begin("One")
    with pytest.raises(lutra.QuotaExhausted, match="delete some"):
        conversations.begin("Two")
    say(conversations, one.id, "Q", "A")
    say(conversations, one.id, "Q", "A")
    with pytest.raises(lutra.QuotaExhausted, match="at most 2 questions"):
        conversations.ask(one.id, "Q")
    assert len(conversations.messages(one.id)) == 4
