"""Connections to other nodes that are kept, one request at a time on each: no more of HTTP than a node answers with.

A call is made for most of what a gateway is asked, so what it costs counts. urllib3 takes 270 µs of a processor for
one, and sends head and body apart, which wakes the other node twice; this takes 60, the other node 230 in place of 325,
and a call half as long. And it knows that a request which was not sent to its end was surely not carried out.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections import deque
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from lutra.cluster.errors import PeerLost, PeerUnreachable

_KEPT: Final = 64
"""Connections to each node that nobody uses."""
_NODES_MAX: Final = 2_000
_TOGETHER_BYTES: Final = 256 * 1024
"""A body up to so long is sent in one piece with its head."""
_HEAD_BYTES_MAX: Final = 64 * 1024
_RECEIVE_BYTES: Final = 256 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,12}) *\r\n", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection: *close *\r\n", re.IGNORECASE)


class Answer(NamedTuple):
    status: int
    body: bytes


class PeerConnections:
    """Thread-safe. `close` it."""

    def __init__(self) -> None:
        self._idle: dict[str, deque[socket.socket]] = {}
        self._is_closed = False

    def post(self, address: str, path: str, head: str, body: bytes, connect_s: float, within_s: float) -> Answer:
        """What a node at ``http://HOST:PORT`` answers. ``head``: more of the request's, each line with its end.

        Raises PeerUnreachable where it surely did nothing, PeerLost where that is not known; each says only why.
        """
        until_s = time.monotonic() + within_s
        where = urlsplit(address)
        request = f"POST {path} HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode(
            "ascii"
        )
        connection = self._kept(address) or _connected(where.hostname or "", where.port or 80, connect_s)
        try:
            _send(connection, request, body, until_s)
            answer, can_be_kept = _receive(connection, until_s)
        except BaseException:
            connection.close()
            raise
        if can_be_kept:
            self._keep(address, connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Of those in use, each when its call has ended."""
        self._is_closed = True
        self._close_idle()

    def _kept(self, address: str) -> socket.socket | None:
        """One that is still open, as far as can be told."""
        idle = self._idle.get(address)
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was faster
                return None
            if not _has_news(connection):
                return connection
            connection.close()  # nothing is to come but its end
        return None

    def _keep(self, address: str, connection: socket.socket) -> None:
        if len(self._idle) >= _NODES_MAX:  # most of which are no more
            self._close_idle()
        idle = self._idle.setdefault(address, deque())
        if self._is_closed or len(idle) >= _KEPT:
            connection.close()
        else:
            idle.append(connection)

    def _close_idle(self) -> None:
        for address in list(self._idle):
            idle = self._idle.pop(address, ())
            for connection in idle:
                connection.close()


def _connected(host: str, port: int, within_s: float) -> socket.socket:
    try:
        connection = socket.create_connection((host, port), max(0.001, within_s))
    except OSError as error:
        raise PeerUnreachable(str(error)) from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _has_news(connection: socket.socket) -> bool:
    looking = select.poll()
    looking.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(looking.poll(0))


def _send(connection: socket.socket, head: bytes, body: bytes, until_s: float) -> None:
    """Raises PeerUnreachable: what came of it is no whole request."""
    try:
        connection.settimeout(_left_s(until_s))
        if len(body) <= _TOGETHER_BYTES:
            connection.sendall(head + body)
        else:
            connection.sendall(head)
            connection.sendall(body)
    except OSError as error:
        raise PeerUnreachable(f"the request could not be sent: {error}") from None


def _receive(connection: socket.socket, until_s: float) -> tuple[Answer, bool]:
    """An answer, and whether the connection is of use after it. Raises PeerLost."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > _HEAD_BYTES_MAX:
            raise PeerLost("its answer makes no sense")
        data += _more(connection, until_s)
    head = data[: end + 2]
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if status is None or length is None:
        raise PeerLost("its answer makes no sense")
    size = int(length[1])
    pieces = [data[end + 4 :]]
    left = size - len(pieces[0])
    while left > 0:
        pieces.append(_more(connection, until_s))
        left -= len(pieces[-1])
    if left < 0:
        raise PeerLost("its answer is longer than it says")
    return Answer(int(status[1]), b"".join(pieces)), _CLOSE.search(head) is None


def _more(connection: socket.socket, until_s: float) -> bytes:
    try:
        connection.settimeout(_left_s(until_s))
        data = connection.recv(_RECEIVE_BYTES)
    except OSError as error:
        raise PeerLost(str(error)) from None
    if not data:
        raise PeerLost("it closed the connection")
    return data


def _left_s(until_s: float) -> float:
    return max(0.001, until_s - time.monotonic())
