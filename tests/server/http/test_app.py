"""The ASGI application by itself: what HTTP cannot bring about from outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lutra.instance.engine import Engine
from lutra.model.clock import SystemClock
from lutra.server.auth.credentials import Credentials
from lutra.server.http.app import Application
from lutra.server.http.options import ServerOptions
from lutra.server.wire import error_pb2

Message = dict[str, Any]


@asynccontextmanager
async def application(folder: Path) -> AsyncIterator[Application]:
    engine = Engine.open(folder / "data")
    made = Application(engine, Credentials("me", "hush"), SystemClock(), ServerOptions())
    try:
        yield made
    finally:
        made.close()
        engine.close()


def scope(**changes: Any) -> Message:
    base = {"type": "http", "method": "POST", "path": "/ListTable", "query_string": b"", "headers": []}
    return base | changes


async def ask(app: Application, request: Message, *incoming: Message) -> list[Message]:
    """What the application sends when the given messages come in."""
    waiting, sent = list(incoming), []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(request, receive, send)
    return sent


def test_a_client_that_leaves_gets_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with application(tmp_path) as app:
            assert await ask(app, scope(), {"type": "http.request", "body": b"x", "more_body": True}) == []
            metrics = await ask(app, scope(method="GET", path="/metrics"))
            assert b"lutra_requests_in_flight 0" in metrics[1]["body"]

    asyncio.run(main())


def test_what_fails_on_the_loop_is_an_answer_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[Message]:
        async with application(tmp_path) as app:
            app._gate = None
            return await ask(app, scope(), {"type": "http.request", "body": b"", "more_body": False})

    with caplog.at_level(logging.ERROR):
        start, body = asyncio.run(main())
    error = error_pb2.Error.FromString(body["body"])
    assert (start["status"], error.code, error.message) == (500, "OTSInternalServerError", "Internal server error.")
    assert (b"connection", b"close") in start["headers"]
    request_id = dict(start["headers"])[b"x-ots-requestid"].decode()
    assert request_id in caplog.text


def test_an_engine_that_does_not_answer_is_not_healthy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[int]:
        async with application(tmp_path) as app:
            app._engine.create_instance("test")
            before = await ask(app, scope(method="GET", path="/healthz"))
            app._engine.close()
            after = await ask(app, scope(method="GET", path="/healthz"))
            return [before[0]["status"], after[0]["status"]]

    assert asyncio.run(main()) == [200, 503]
    assert "/healthz failed" in caplog.text


def test_only_http_is_served(tmp_path: Path) -> None:
    async def main() -> None:
        async with application(tmp_path) as app:
            await ask(app, {"type": "websocket"})

    with pytest.raises(RuntimeError, match="websocket"):
        asyncio.run(main())
