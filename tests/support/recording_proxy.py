"""An HTTP proxy on loopback that passes requests on to a server and keeps what they asked, for tests of clients."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})

_POLL_S = 0.02
"""How soon it sees that it is to stop."""


class Asked(NamedTuple):
    """``operation``: the protocol's name; ``status``: what the server answered."""

    operation: str
    body: bytes
    status: int


class RecordingProxy:
    """At ``endpoint``; what passed since the last `take`."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._asked: list[Asked] = []
        self._lock = threading.Lock()

    def add(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)

    def take(self) -> list[Asked]:
        with self._lock:
            asked, self._asked = self._asked, []
        return asked


@contextmanager
def recorded(target: str) -> Iterator[RecordingProxy]:
    """A proxy before the server at ``target``, ``http://host:port``."""
    parts = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request("POST", self.path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
            finally:
                connection.close()
            proxy.add(Asked(self.path.removeprefix("/"), body, answer.status))
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Tests have nothing to say to their terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = RecordingProxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,))
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
