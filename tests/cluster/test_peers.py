"""Nodes that ask each other, over HTTP: answers, errors, and what is known of what was done where there is none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from support.peer_server import peer_server

from lutra.cluster.errors import Moved, PeerLost, PeerUnreachable
from lutra.cluster.methods import Methods, PeerLane
from lutra.cluster.peers import Call, Peers
from lutra.cluster.signing import (
    DIGEST_HEADER,
    SIGNATURE_HEADER,
    SKEW_S_MAX,
    TIME_HEADER,
    digest_of,
    signature_of,
)
from lutra.cluster.wire import encode
from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.model.errors import ParameterInvalid, RequestTimeout

SECRET = b"known to all nodes"


class Node:
    def __init__(self) -> None:
        self.methods = Methods(SECRET)
        self.calls: list[object] = []
        self.go_on = threading.Event()
        self.methods.add("echo", PeerLane.POINT, self._echo)
        self.methods.add("left", PeerLane.POINT, lambda _: current_deadline().left_s)
        self.methods.add("moved", PeerLane.WRITE, self._move)
        self.methods.add("fail", PeerLane.WRITE, lambda _: 1 / 0)
        self.methods.add("wait", PeerLane.SCAN, lambda _: self.go_on.wait(20))

    def _echo(self, said: object) -> object:
        self.calls.append(said)
        return said

    def _move(self, said: object) -> object:
        raise Moved(f"not here: {said}")


@pytest.fixture(scope="module")
def node() -> Node:
    return Node()


@pytest.fixture(scope="module")
def address(node: Node) -> Iterator[str]:
    with peer_server(node.methods) as address:
        yield address
        node.go_on.set()


@pytest.fixture
def peers() -> Iterator[Peers]:
    peers = Peers(SECRET)
    yield peers
    peers.close()


def test_calls_and_errors(address: str, peers: Peers) -> None:
    assert peers.call(address, "echo", (1, [b"x" * 100_000])) == (1, [b"x" * 100_000])
    with pytest.raises(Moved, match="not here: p1"):
        peers.call(address, "moved", "p1")
    with pytest.raises(PeerLost, match="failed in fail"):
        peers.call(address, "fail")


def test_many_at_once(address: str, peers: Peers) -> None:
    answers = peers.call_many([Call(address, "echo", n) for n in range(50)] + [Call(address, "moved", "p2")])
    assert answers[:50] == list(range(50))
    assert isinstance(answers[50], Moved)

    def bad() -> object:
        raise ParameterInvalid("x")

    one, other = peers.run_many([lambda: 1, bad])
    assert one == 1
    assert isinstance(other, ParameterInvalid)


def test_calls_of_one_kind_that_do_not_end_hold_up_no_others() -> None:
    """Searches wait for a node that hangs as long as they may; writes to other nodes are not to wait for them."""
    peers, go_on, running = Peers(SECRET, at_once=2), threading.Event(), threading.Barrier(3)

    def search() -> None:
        if not go_on.is_set():
            running.wait(60)
            go_on.wait(60)

    searching = threading.Thread(target=lambda: peers.run_many([search] * 4, "search"))
    searching.start()
    try:
        running.wait(60)  # as many as may be at once
        assert peers.run_many([lambda: 1, lambda: 2], "write") == [1, 2]
        assert searching.is_alive()
    finally:
        go_on.set()
        searching.join()
        peers.close()
    with pytest.raises(RuntimeError):
        peers.run_many([lambda: 1, lambda: 2], "scan")


def test_it_takes_no_longer_than_who_asks_has(address: str, node: Node, peers: Peers) -> None:
    with working_for(Deadline(5.0)):
        assert 0 < peers.call(address, "left") <= 5.0
        assert all(0 < left <= 5.0 for left in peers.call_many([Call(address, "left")] * 3))
    with working_for(Deadline(0.3)):
        began_s = time.monotonic()
        with pytest.raises(PeerLost, match="did not answer wait"):
            peers.call(address, "wait")
        assert time.monotonic() - began_s < 10
    calls = len(node.calls)
    with working_for(Deadline(-1.0)), pytest.raises(RequestTimeout):
        peers.call(address, "echo", 1)
    assert len(node.calls) == calls


def test_strangers_are_refused_and_nothing_is_done(address: str, node: Node) -> None:
    calls = len(node.calls)
    stranger = Peers(b"guessed")
    with pytest.raises(PeerUnreachable, match="secret"):
        stranger.call(address, "echo", 1)
    stranger.close()
    peers = Peers(SECRET)
    with pytest.raises(PeerUnreachable, match="no method"):
        peers.call(address, "nonsense", 1)
    peers.close()
    assert len(node.calls) == calls


def _status(address: str, head: dict[str, str], length_bytes: int = 0, body: bytes = b"") -> bytes:
    """The status of what is answered to a head, and that body: ``length_bytes`` are announced, where there is none."""
    where = urlsplit(address)
    with socket.create_connection((where.hostname, where.port), 20) as connection:
        lines = {"host": where.netloc, "content-length": str(length_bytes or len(body)), **head}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.sendall(f"POST /_lutra/echo HTTP/1.1\r\n{text}\r\n".encode("latin-1") + body)
        return connection.recv(100).split(b" ")[1]


def test_a_stranger_is_refused_before_its_body_is_read(address: str, node: Node) -> None:
    """Or anybody could have a node hold as many bodies as it takes connections."""
    calls, now = len(node.calls), str(int(time.time()))
    body = encode(1)
    digest = digest_of(body)
    forged = {TIME_HEADER: now, DIGEST_HEADER: digest, SIGNATURE_HEADER: signature_of(b"guessed", "echo", now, digest)}
    assert _status(address, forged, 60_000_000) == b"403"
    assert _status(address, {TIME_HEADER: now, SIGNATURE_HEADER: "\xff" * 64}, 60_000_000) == b"403"
    other = {**forged, SIGNATURE_HEADER: signature_of(SECRET, "left", now, digest)}
    assert _status(address, other, 60_000_000) == b"403"
    old = str(int(time.time()) - SKEW_S_MAX - 60)
    late = {TIME_HEADER: old, DIGEST_HEADER: digest, SIGNATURE_HEADER: signature_of(SECRET, "echo", old, digest)}
    assert _status(address, late, 60_000_000) == b"403"
    assert len(node.calls) == calls


def test_another_body_than_the_one_that_was_signed_is_refused(address: str, node: Node) -> None:
    calls, now, digest = len(node.calls), str(int(time.time())), digest_of(encode(1))
    head = {TIME_HEADER: now, DIGEST_HEADER: digest, SIGNATURE_HEADER: signature_of(SECRET, "echo", now, digest)}
    assert _status(address, head, body=encode(2)) == b"403"
    assert len(node.calls) == calls
    assert _status(address, head, body=encode(1)) == b"200"
    assert len(node.calls) == calls + 1


def test_clocks_that_are_hours_apart_are_told_of(address: str, node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """Such a node is sure of its lease, and nobody else reaches its partitions: somebody is to know why."""
    calls = len(node.calls)
    ahead = Peers(SECRET, now_s=lambda: time.time() + 3 * 3_600)
    for _ in range(2):
        with pytest.raises(PeerUnreachable, match=r"its clock shows \d+ s since 1970, this machine's \d+"):
            ahead.call(address, "echo", 1)
    ahead.close()
    assert len(node.calls) == calls
    assert [record.getMessage().count("until both are right") for record in caplog.records] == [1]


def test_nobody_there(peers: Peers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PeerUnreachable):
        peers.call(f"http://127.0.0.1:{port}", "echo", 1)


def test_a_node_that_ends_amid_a_call(peers: Peers) -> None:
    """Whether it was done is not known; a connection that is refused afterwards says that it was not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(PeerLost):
            peers.call(address, "echo", 1)
        thread.join(20)
    with pytest.raises(PeerUnreachable):
        peers.call(address, "echo", 1)


def test_a_connection_that_the_other_closed_meanwhile_is_made_anew(node: Node, peers: Peers) -> None:
    with peer_server(node.methods) as address:
        assert peers.call(address, "echo", 1) == 1
    port = int(address.rsplit(":", 1)[1])
    with peer_server(node.methods, port) as again:
        assert again == address
        assert peers.call(address, "echo", 2) == 2
