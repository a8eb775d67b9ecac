"""One HTTP connection that sends requests signed beforehand (`bench.prepared`), and does little else."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK: Final = b"HTTP/1.1 200"


def read_requests(path: Path) -> list[bytes]:
    """What `bench.prepared.record` wrote."""
    data = path.read_bytes()
    requests, at = [], 0
    while at < len(data):
        end = at + 8 + int(data[at : at + 8])
        requests.append(data[at + 8 : end])
        at = end
    return requests


class Connection:
    """To a server at ``http://HOST:PORT``; one request at a time."""

    def __init__(self, endpoint: str, timeout_s: float = 60.0) -> None:
        where = urlsplit(endpoint)
        self._socket = socket.create_connection((where.hostname, where.port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises RuntimeError where it is not 200, OSError where none comes."""
        self._socket.sendall(request)
        data = self._receive()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive()
        head = data[:end]
        found = _LENGTH.search(head)
        if not head.startswith(_OK) or found is None:
            raise RuntimeError(f"a request failed: {data[:400]!r}")
        body, length = data[end + 4 :], int(found[1])
        while len(body) < length:
            body += self._receive()
        return body

    def time(self, request: bytes) -> float:
        """How long an answer takes, in ms."""
        begin_s = time.perf_counter()
        self.ask(request)
        return 1e3 * (time.perf_counter() - begin_s)

    def send_all(self, requests: Sequence[bytes]) -> None:
        """One after the other."""
        for request in requests:
            self.ask(request)

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data
