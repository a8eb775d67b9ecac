"""A TCP proxy on loopback that lets what a client sends through only after a while: a server that is further away."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class DelayedServer:
    """The server at ``target``, ``http://host:port``, as ``endpoint``: each request takes ``delay_s`` more."""

    def __init__(self, target: str, delay_s: float) -> None:
        self.target = target
        self._delay_s = delay_s
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
            answered = threading.Event()
            answered.set()
            threading.Thread(target=self._ask, args=(client, server, answered), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, answered.set), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, answered: threading.Event) -> None:
        """What comes first after an answer begins a request."""

        def delay() -> None:
            if answered.is_set():
                answered.clear()
                time.sleep(self._delay_s)

        self._pass(client, server, delay)

    def _pass(self, source: socket.socket, sink: socket.socket, before: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                before()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
