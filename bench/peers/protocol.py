"""How libraries are asked over loopback: one protocol for all of them, in Python and in Java.

A message is ``[uint32 bytes of head][uint32 bytes of body][head][body]``, little-endian. A head is ASCII: words
``name=value`` with blanks between; a body is float32 (vectors) or int64 (row numbers). The answer's head is ``ok=1``,
or ``error=`` and the rest of it is what went wrong.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.peers.data import Among, K, Vectors
from bench.peers.peer import Putting
from bench.service.clients import Search

_SIZES: Final = struct.Struct("<II")
_BODY_BYTES_MAX: Final = 1 << 28
_CONNECT_S: Final = 30.0


class Exchange:
    """One connection."""

    def __init__(self, end: socket.socket) -> None:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._end = end

    def send(self, head: Mapping[str, object], body: bytes = b"") -> None:
        words = " ".join(f"{name}={value}" for name, value in head.items()).encode()
        self._end.sendall(_SIZES.pack(len(words), len(body)) + words + body)

    def receive(self) -> tuple[dict[str, str], bytes]:
        """Raises EOFError where the other side has closed."""
        words, size = _SIZES.unpack(self._exactly(_SIZES.size))
        if size > _BODY_BYTES_MAX or words > _BODY_BYTES_MAX:
            raise EOFError(f"a message of {size:,} bytes is none of this protocol")
        head = self._exactly(words).decode()
        if head.startswith("error="):
            return {"error": head.removeprefix("error=")}, self._exactly(size)
        return dict(word.partition("=")[::2] for word in head.split()), self._exactly(size)

    def call(self, head: Mapping[str, object], body: bytes = b"") -> tuple[dict[str, str], bytes]:
        """The answer. Raises RuntimeError where it says an error."""
        self.send(head, body)
        answer, data = self.receive()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer, data

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._end.recv(min(size - len(data), 1 << 20))
            if not more:
                raise EOFError("the connection was closed")
            data += more
        return data


@contextmanager
def connected(port: int, timeout_s: float) -> Iterator[Exchange]:
    """To a host on this machine; ``timeout_s``: for an answer."""
    with socket.create_connection(("127.0.0.1", port), _CONNECT_S) as end:
        end.settimeout(timeout_s)
        yield Exchange(end)


def searching(among: Among, setting: Mapping[str, float]) -> dict[str, object]:
    """The head of a search."""
    head: dict[str, object] = {"op": "search", "k": K, **setting}
    return head | {"column": among.column, "below": among.below} if among.column else head


@dataclass(frozen=True, slots=True)
class HostClient:
    """Searches by a connection."""

    port: int
    among: Among
    setting: Mapping[str, float]

    @contextmanager
    def connect(self) -> Iterator[Search]:
        head = searching(self.among, self.setting)
        with connected(self.port, 120.0) as exchange:

            def search(query: npt.NDArray[np.float32]) -> list[int]:
                numbers: list[int] = np.frombuffer(exchange.call(head, query.tobytes())[1], np.int64).tolist()
                return numbers

            yield search


@dataclass(frozen=True, slots=True)
class HostWriter:
    """Writes by a connection."""

    port: int

    @contextmanager
    def connect(self) -> Iterator[Putting]:
        with connected(self.port, 120.0) as exchange:

            def put(first: int, vectors: Vectors) -> None:
                exchange.call({"op": "write", "first": first, "rows": len(vectors)}, vectors.tobytes())

            yield put
