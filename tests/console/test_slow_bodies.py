"""Forms that drip: the console itself, with a time that a test can wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lutra.console.app import Console
from lutra.console.options import ConsoleOptions
from lutra.instance.engine import Engine
from lutra.model.clock import SystemClock
from lutra.server.auth.credentials import Credentials
from lutra.server.observe.engine_metrics import engine_collectors
from lutra.server.observe.metrics import Metrics

BODY_TIMEOUT_S = 0.4
ENDS_WITHIN_S = 60.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = Engine.open(tmp_path / "data")
    yield opened
    opened.close()


async def answered(engine: Engine, kind: str, pieces: list[bytes], pause_s: float) -> int:
    """The status of the answer to a form of these pieces, the last one again and again, with pauses between them."""
    clock = SystemClock()
    options = ConsoleOptions(body_timeout_s=BODY_TIMEOUT_S)
    console = Console(engine, Credentials("id", "secret"), clock, Metrics(engine_collectors(engine, clock)), options)
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": pieces.pop(0) if len(pieces) > 1 else pieces[0], "more_body": True}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/console/sign-in"}
    scope |= {"raw_path": b"/console/sign-in", "query_string": b"", "client": ("127.0.0.1", 1), "server": ("a", 1)}
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            await console({**scope, "headers": [(b"host", b"a"), (b"content-type", kind.encode())]}, receive, send)
    finally:
        await asyncio.to_thread(console.close)
    [status] = statuses
    return status


@pytest.mark.parametrize(
    ("kind", "begin"),
    [
        ("application/x-www-form-urlencoded", b"to="),
        ("multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="to"\r\n\r\n'),
    ],
)
def test_a_form_that_drips_has_an_end(engine: Engine, kind: str, begin: bytes) -> None:
    assert asyncio.run(answered(engine, kind, [begin, b"x"], 0.02)) == 408
    assert asyncio.run(answered(engine, kind, [begin, b"x" * 100_000], 0.0)) == 413
