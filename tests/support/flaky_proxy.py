"""A TCP proxy on loopback that breaks connections as told, for tests of clients: resets, cut replies, silence.

It knows nothing of what passes through: a mishap falls upon the next bytes that come from the one side or the other.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit


class Mishap(enum.Enum):
    """What happens to a connection."""

    RESET_REQUEST = "reset request"
    """Reset when the client's next bytes come: the server sees nothing of them."""
    RESET_REPLY = "reset reply"
    """Reset when the server's next bytes come: it has done what was asked, and the client sees nothing of that."""
    CUT_REPLY = "cut reply"
    """The same after half of the server's next bytes."""
    SILENCE = "silence"
    """Nothing more comes from the server, for `FlakyProxy.SILENCE_S`; then the connection is reset."""


class FlakyProxy:
    """Started when entered, at ``endpoint``; stopped when left."""

    SILENCE_S = 3.0

    def __init__(self, target: str) -> None:
        """
        :param target: ``http://host:port`` of the server behind it.
        """
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._mishaps: list[Mishap] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []
        self._is_over = threading.Event()

    def next(self, *mishaps: Mishap) -> None:
        """Mishaps to come, one after the other."""
        with self._lock:
            self._mishaps.extend(mishaps)

    def hold(self, data: bytes) -> None:
        """Returns when a client's ``data`` may go on: here, at once."""

    @property
    def pending(self) -> int:
        """Mishaps that have not happened yet."""
        return len(self._mishaps)

    def __enter__(self) -> FlakyProxy:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        # Closing a listener does not wake who waits for it to accept.
        with contextlib.suppress(OSError), socket.create_connection(self._listener.getsockname(), timeout=5):
            pass
        self._threads[0].join(timeout=10)
        self._listener.close()
        with self._lock:
            sockets, threads = list(self._sockets), self._threads[1:]
        for end in sockets:
            _reset(end)
        for thread in threads:
            thread.join(timeout=10)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._is_over.is_set():
                client.close()
                return
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:  # nobody is behind it any more
                _reset(client)
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            requests = threading.Thread(target=self._pass_on, args=(client, server, {Mishap.RESET_REQUEST}))
            replies = threading.Thread(
                target=self._pass_on, args=(server, client, set(Mishap) - {Mishap.RESET_REQUEST})
            )
            with self._lock:
                self._sockets += [client, server]
                self._threads += [requests, replies]
            requests.start()
            replies.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, possible: set[Mishap]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if Mishap.RESET_REQUEST in possible:
                    self.hold(data)
                mishap = self._take(possible)
                if mishap is None:
                    target.sendall(data)
                    continue
                if mishap is Mishap.CUT_REPLY:
                    target.sendall(data[: len(data) // 2])
                    time.sleep(0.05)  # So that the half is read before the reset overtakes it.
                if mishap is Mishap.SILENCE:
                    self._is_over.wait(self.SILENCE_S)
                break
        _reset(source)
        _reset(target)

    def _take(self, possible: set[Mishap]) -> Mishap | None:
        with self._lock:
            return self._mishaps.pop(0) if self._mishaps and self._mishaps[0] in possible else None


def _reset(end: socket.socket) -> None:
    """Closes with RST: what was under way is lost, and the other side is told so."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
