"""A server that speaks OpenAI's chat completions, and fails as it is told to."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

KEY = "sk-secret-of-a-test"


@dataclass
class Reply:
    """How one request is answered: with ``pieces``, a pause before each; or with a ``status`` that says no.

    Pieces from ``holds_from`` on wait until the server's ``released`` is set.
    """

    pieces: Sequence[str] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    pause_s: float = 0.0
    holds_from: int | None = None
    has_end: bool = True
    is_streamed: bool = True


class ChatServer:
    """Answers with its ``replies`` in turn, the last one over and over. ``asked`` are the bodies of requests."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/chat/completions"
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                chat.asked.append(body)
                chat.keys.append(self.headers.get("Authorization"))
                reply = chat.replies.pop(0) if len(chat.replies) > 1 else chat.replies[0]
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who asked went away
                    self._answer(reply)

            def _answer(self, reply: Reply) -> None:
                is_stream = reply.status == 200 and reply.is_streamed and not reply.body
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "text/event-stream" if is_stream else "application/json")
                self.end_headers()
                if not is_stream:
                    whole = {"choices": [{"message": {"role": "assistant", "content": "".join(reply.pieces)}}]}
                    self.wfile.write((reply.body or json.dumps(whole)).encode())
                    return
                self.wfile.write(b": a comment\n\n")
                self._event({"choices": [{"delta": {"role": "assistant"}}]})
                for number, piece in enumerate(reply.pieces):
                    time.sleep(reply.pause_s)
                    if reply.holds_from is not None and number >= reply.holds_from:
                        chat.released.wait(60)
                    self._event({"choices": [{"delta": {"content": piece}}]})
                if reply.has_end:
                    self._event({"choices": [], "usage": {"total_tokens": 1}})
                    self.wfile.write(b"data: [DONE]\n\n")

            def _event(self, value: dict[str, Any]) -> None:
                self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
                self.wfile.flush()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        return Handler
