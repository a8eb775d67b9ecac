"""Connections between nodes: kept, made anew, and what is known where they end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from lutra.cluster.errors import PeerLost, PeerUnreachable
from lutra.cluster.peer_connections import Answer, PeerConnections

_OK = b"HTTP/1.1 200 OK\r\ndate: today\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A listener that does with each request on its connections what ``answers`` says next."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answers: list[Callable[[socket.socket], None]] = []
        self.requests: list[bytes] = []
        self.accepted = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            with connection, suppress(OSError):  # who asks may be gone
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        while self.answers:
            data = b""
            while b"\r\n\r\n" not in data:
                more = connection.recv(1 << 16)
                if not more:
                    return
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            answer = self.answers.pop(0)
            if answer is not hang_up:
                while len(body) < length:
                    body += connection.recv(1 << 20)
                self.requests.append(head + b"|" + body)
            answer(connection)
            if answer is hang_up or getattr(answer, "ends", False):
                return

    def close(self) -> None:
        self._listener.close()


def say(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def say_and_end(data: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    answer.ends = True  # type: ignore[attr-defined]
    return answer


def hang_up(connection: socket.socket) -> None:
    """Reads no more of a request."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def connections() -> Iterator[PeerConnections]:
    connections = PeerConnections()
    yield connections
    connections.close()


def post(connections: PeerConnections, peer: Peer, body: bytes = b"body", within_s: float = 20.0) -> Answer:
    return connections.post(peer.address, "/_lutra/x", "a: b\r\n", body, 5.0, within_s)


def test_a_connection_serves_many_requests(connections: PeerConnections, peer: Peer) -> None:
    large = b"x" * 3_000_000
    answers = [_OK, b"HTTP/1.1 409 Conflict\r\ncontent-length: 3000000\r\n\r\n" + large, _OK]
    peer.answers = [say(answer) for answer in answers]
    assert post(connections, peer) == Answer(200, b"ok")
    assert post(connections, peer, large) == Answer(409, large)
    assert post(connections, peer, b"") == Answer(200, b"ok")
    assert peer.accepted == 1
    head, _, body = peer.requests[1].partition(b"|")
    assert body == large
    assert head.startswith(b"POST /_lutra/x HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\na: b" in head


def test_one_that_has_ended_is_made_anew(connections: PeerConnections, peer: Peer) -> None:
    peer.answers = [say_and_end(_OK), say(_OK.replace(b"date: today", b"Connection: close")), say(_OK)]
    assert post(connections, peer) == Answer(200, b"ok")
    while (kept := connections._kept(peer.address)) is not None:  # its end has not been heard of yet
        kept.close()
    peer.answers[0].ends = True  # type: ignore[attr-defined]
    assert [post(connections, peer), post(connections, peer)] == [Answer(200, b"ok")] * 2
    assert peer.accepted == 3


def test_what_is_known_where_no_answer_comes(connections: PeerConnections, peer: Peer) -> None:
    for answer in (
        b"",
        _OK[:-1],
        b"HTTP/1.1 200 OK\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        _OK + b"k",
    ):
        peer.answers = [say_and_end(answer)]
        with pytest.raises(PeerLost):
            post(connections, peer)
    peer.answers = [hang_up]
    with pytest.raises(PeerUnreachable, match="could not be sent"):
        post(connections, peer, b"x" * 64_000_000)
    assert len(peer.requests) == 6  # the last one was never whole
    peer.close()
    with pytest.raises(PeerUnreachable):
        connections.post("http://127.0.0.1:1", "/", "", b"", 5.0, 20.0)


def test_time_is_up_for_all_of_an_answer(connections: PeerConnections, peer: Peer) -> None:
    def drip(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx: y" * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    peer.answers = [drip]
    with pytest.raises(PeerLost):
        post(connections, peer, within_s=0.5)
