"""A TCP proxy on loopback that lets what a client sends through only after a while: a server that is further away.

It counts what passes, so that what a client asked can be told from outside of it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Passed:
    """Requests since the last look."""

    requests: dict[str, int]
    """By method."""
    answered_bytes: int
    rounds: int
    """One after the other: a request is of the round after that of any answer that had begun before it was sent."""


class _Log:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._requests: Counter[str] = Counter()
        self._bytes = self._sent_round = self._answered_round = 0

    def sent(self, head: bytes) -> int:
        """The round that a request is of, which begins so."""
        with self._lock:
            self._requests[head.partition(b" ")[0].decode("latin-1")] += 1
            self._sent_round = max(self._sent_round, self._answered_round + 1)
            return self._answered_round + 1

    def answered(self, number: int) -> None:
        with self._lock:
            self._answered_round = max(self._answered_round, number)

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._bytes += size_bytes

    def take(self) -> Passed:
        with self._lock:
            found = Passed(dict(self._requests), self._bytes, self._sent_round)
            self._clear()
            return found


class _Exchange:
    """One connection: a request, then its answer, and so on."""

    def __init__(self, log: _Log, delay_s: float) -> None:
        self._log = log
        self._delay_s = delay_s
        self._round: int | None = None

    def ask(self, data: bytes) -> None:
        """What comes first after an answer begins a request."""
        if self._round is None:
            self._round = self._log.sent(data)
            time.sleep(self._delay_s)

    def answer(self, data: bytes) -> None:
        self._log.add(len(data))
        if self._round is not None:
            self._log.answered(self._round)
            self._round = None


class DelayedServer:
    """The server at ``target``, ``http://host:port``, as ``endpoint``: each request takes ``delay_s`` more."""

    def __init__(self, target: str, delay_s: float) -> None:
        self.target = target
        self._delay_s = delay_s
        self._log = _Log()
        parts = urlsplit(target)
        self._address = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._address)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange = _Exchange(self._log, self._delay_s)
            threading.Thread(target=self._pass, args=(client, server, exchange.ask), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, exchange.answer), daemon=True).start()

    def take(self) -> Passed:
        """What passed since the last call."""
        return self._log.take()

    def _pass(self, source: socket.socket, sink: socket.socket, before: Callable[[bytes], None]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                before(data)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
