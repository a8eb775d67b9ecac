"""The client of chat models, against a server that speaks their protocol."""

import json

import pytest
from support.chat_server import KEY, ChatServer, Reply

from examples.assistant import chat_model
from examples.assistant.chat_model import ChatModel, ChatModelError

MESSAGES = [{"role": "user", "content": "Otters?"}]


def model(server: ChatServer, **options: float) -> ChatModel:
    return ChatModel("otter-1", server.url, KEY, **{"timeout_s": 30, "pause_s": 0.01, **options})  # type: ignore[arg-type]


def test_pieces_come_as_they_are_written() -> None:
    with ChatServer(Reply(["Ott", "ers ", "水獭。"])) as server:
        assert list(model(server).answer(MESSAGES)) == ["Ott", "ers ", "水獭。"]
    assert server.asked == [{"model": "otter-1", "messages": MESSAGES, "stream": True}]
    assert server.keys == [f"Bearer {KEY}"]
    with ChatServer(Reply(["one", "two"], holds_from=1)) as server:
        pieces = model(server).answer(MESSAGES)
        assert next(pieces) == "one", "before the second is written"
        server.released.set()
        assert list(pieces) == ["two"]


def test_an_answer_in_one_document_is_read_too() -> None:
    with ChatServer(Reply(["Otters."], is_streamed=False)) as server:
        assert list(model(server).answer(MESSAGES)) == ["Otters."]


def test_what_says_to_try_again_is_tried_again() -> None:
    busy = Reply(status=429, headers={"Retry-After": "0"}, body="busy")
    with ChatServer(busy, Reply(status=503, body="down"), Reply(["Otters."])) as server:
        assert list(model(server).answer(MESSAGES)) == ["Otters."]
        assert len(server.asked) == 3
    with ChatServer(busy) as server:
        with pytest.raises(ChatModelError, match=r"answered 429 .*: busy"):
            list(model(server).answer(MESSAGES))
        assert len(server.asked) == 3, "and no more often"


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (Reply(status=401, body=json.dumps({"error": f"{KEY} is wrong"})), "answered 401 .*… is wrong"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), "answered 302"),
        (Reply(body="nonsense"), "did not answer as a chat endpoint does"),
        (Reply(body=json.dumps({"choices": [{"message": {"content": 7}}]})), "did not answer with text"),
        (Reply(body=json.dumps({"error": {"message": f"no {KEY}"}})), "told of an error: .*no …"),
        (Reply([]), "an empty answer"),
    ],
)
def test_refusals_are_told_without_the_key(reply: Reply, complaint: str) -> None:
    with ChatServer(reply) as server:
        with pytest.raises(ChatModelError, match=complaint) as refused:
            list(model(server).answer(MESSAGES))
        assert len(server.asked) == 1
        assert KEY not in str(refused.value)
        assert KEY not in repr(model(server))


def test_an_answer_that_breaks_off_is_not_begun_again() -> None:
    with ChatServer(Reply(["Otters "], has_end=False)) as server:
        pieces = model(server).answer(MESSAGES)
        assert next(pieces) == "Otters "
        with pytest.raises(ChatModelError, match="no end"):
            next(pieces)
        assert len(server.asked) == 1


def test_silence_and_slowness_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(Reply(["never"], holds_from=0)) as server:
        with pytest.raises(ChatModelError, match="broke off"):
            list(model(server, silence_s=0.1, attempts_max=2).answer(MESSAGES))
        assert len(server.asked) == 2
    with (
        ChatServer(Reply(["x"] * 1_000, pause_s=0.02)) as server,
        pytest.raises(ChatModelError, match="no whole answer"),
    ):
        list(model(server, timeout_s=0.3).answer(MESSAGES))
    monkeypatch.setattr(chat_model, "ANSWER_CHARS_MAX", 5)
    with ChatServer(Reply(["xxx"] * 1_000)) as server:
        assert "".join(model(server).answer(MESSAGES)) == "xxxxxx"
    monkeypatch.setattr(chat_model, "_LINE_BYTES_MAX", 1_000)
    with ChatServer(Reply(["x" * 2_000])) as server, pytest.raises(ChatModelError, match="a line of more than"):
        list(model(server).answer(MESSAGES))


def test_nobody_there() -> None:
    with ChatServer(Reply()) as server:
        url = server.url
    with pytest.raises(ChatModelError, match="cannot be reached"):
        list(ChatModel("otter-1", url, pause_s=0.01).answer(MESSAGES))
    with pytest.raises(ChatModelError, match="begins with http"):
        ChatModel("otter-1", "file:///etc/passwd")


@pytest.mark.parametrize("key", ["sekret\nHost: evil", "sek ret", "sekr\u00e9t"])
def test_a_key_that_no_header_takes_is_not_told(key: str) -> None:
    with pytest.raises(ChatModelError) as refused:
        ChatModel("otter-1", "http://127.0.0.1:1", key)
    assert "sek" not in str(refused.value)


def test_half_a_key_is_not_told_either() -> None:
    with ChatServer(Reply(status=401, body="x" * 295 + KEY)) as server, pytest.raises(ChatModelError) as refused:
        list(model(server).answer(MESSAGES))
    assert KEY[:3] not in str(refused.value)
