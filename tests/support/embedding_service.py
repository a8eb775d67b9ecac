"""An HTTP server on the loopback that plays a service of embeddings: scripted answers first, then its usual one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Handler", dict[str, Any]], None]


class Endpoint(ThreadingHTTPServer):
    def __init__(self, usual: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.usual = usual
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        answers = self.server.answers
        (answers.pop(0) if answers else self.server.usual)(self, body)

    def send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps tests quiet."""


def status(code: int, text: str = "", **headers: str) -> Answer:
    return lambda handler, body: handler.send(code, text.encode(), **headers)


def payload(content: object) -> Answer:
    return lambda handler, body: handler.send(200, json.dumps(content).encode())


def drip(handler: Handler, body: dict[str, Any]) -> None:
    """A byte now and then."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.02)


def cut_off(handler: Handler, body: dict[str, Any]) -> None:
    """Less than it says."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.close_connection = True


@contextmanager
def serving(usual: Answer) -> Iterator[Endpoint]:
    with Endpoint(usual) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
