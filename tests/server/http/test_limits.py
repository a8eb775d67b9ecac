"""What a client may hold: connections, heads, bodies, answers it does not take, and places in the queue."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET
from support.wire_client import WireClient

from lutra.kernels.plainbuffer import decode_rows, encode_change, encode_key
from lutra.model.values import INF_MAX, INF_MIN
from lutra.server.wire import capacity_pb2, error_pb2, row_pb2, table_pb2

SCRIPT = """
import json, sys
from lutra.instance.engine import Engine
from lutra.server.auth.credentials import Credentials
from lutra.server.http.options import ServerOptions
from lutra.server.http.server import run_server
data, key, secret, options = sys.argv[1:]
engine = Engine.open(data)
engine.create_instance("test")
listening = lambda endpoint: print(endpoint, flush=True)
run_server(engine, Credentials(key, secret), ServerOptions(port=0, **json.loads(options)), on_listening=listening)
engine.close()
"""
TABLE = "t"


@contextmanager
def server(folder: Path, script: str = SCRIPT, told: str | None = None, **options: float) -> Iterator[str]:
    """A server with limits of its own, or that ``script`` runs, which is ``told`` a text; its endpoint. Must end
    cleanly."""
    arguments = [sys.executable, "-c", script, str(folder / "data"), ACCESS_KEY_ID, ACCESS_KEY_SECRET]
    process = subprocess.Popen(
        [*arguments, told or json.dumps(options)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class Sockets:
    """Connections that a test opens, closed at its end."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def connect(self, endpoint: str, receive_buffer_bytes: int | None = None) -> socket.socket:
        address = urlsplit(endpoint)
        connection = self._stack.enter_context(socket.socket())
        if receive_buffer_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        connection.settimeout(10)
        connection.connect((address.hostname, address.port))
        return connection

    def client(self, endpoint: str) -> WireClient:
        return self._stack.enter_context(closing(WireClient(endpoint)))

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    opened = Sockets()
    yield opened
    opened.close()


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes the connection, with no more data, before the socket's timeout."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    pieces = []
    try:
        while piece := connection.recv(1_000_000):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def request(client: WireClient, operation: str, body: bytes) -> bytes:
    """A whole signed request as bytes."""
    headers = client.headers(operation, body) | {"host": "x", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /{operation} HTTP/1.1\r\n{head}\r\n".encode() + body


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a server that waits for nobody long."""
    options = {"head_timeout_s": 0.2, "body_timeout_s": 0.2, "keep_alive_s": 1}
    with server(tmp_path_factory.mktemp("impatient"), **options) as endpoint:
        yield endpoint


def test_connections(tmp_path: Path, sockets: Sockets) -> None:
    with server(tmp_path, connections_max=3) as endpoint:
        client = sockets.client(endpoint)
        held = [sockets.connect(endpoint) for _ in range(3)]
        for connection in held:
            connection.sendall(request(client, "ListTable", b""))
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert is_closed(sockets.connect(endpoint))
        held.pop().close()
        time.sleep(0.1)
        assert client.call("ListTable").status == 200


@pytest.mark.parametrize(
    "begin", [b"", b"POST /ListTable HTTP/1.1\r\nhost:", b"POST /ListTable HTTP/1.1\r\nhost: x\r\n"]
)
def test_heads_that_do_not_end_in_time(impatient: str, sockets: Sockets, begin: bytes) -> None:
    connection = sockets.connect(impatient)
    connection.sendall(begin)
    assert is_closed(connection)


def test_a_head_that_drips(impatient: str, sockets: Sockets) -> None:
    connection = sockets.connect(impatient)
    connection.sendall(b"POST /ListTable HTTP/1.1\r\n")
    connection.setblocking(False)
    deadline = time.monotonic() + 5
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        _drip(connection, deadline)


def _drip(connection: socket.socket, deadline: float) -> None:
    while time.monotonic() < deadline:
        connection.send(b"a: b\r\n")
        time.sleep(0.01)


def test_large_heads(tmp_path: Path, sockets: Sockets) -> None:
    with server(tmp_path, head_bytes_max=5_000) as endpoint:
        for head in (b"a: b\r\n" * 2_000, b"a: " + b"b" * 20_000):
            connection = sockets.connect(endpoint)
            connection.sendall(b"POST /ListTable HTTP/1.1\r\n" + head)
            assert is_closed(connection)


def test_the_second_head_of_a_connection(impatient: str, sockets: Sockets) -> None:
    connection = sockets.connect(impatient)
    connection.sendall(request(sockets.client(impatient), "ListTable", b""))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    connection.sendall(b"POST /ListT")
    assert is_closed(connection)


def test_idle_connections(impatient: str, sockets: Sockets) -> None:
    connection = sockets.connect(impatient)
    connection.sendall(request(sockets.client(impatient), "ListTable", b""))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    assert is_closed(connection)


def test_slow_bodies(impatient: str, sockets: Sockets) -> None:
    connection = sockets.connect(impatient)
    connection.sendall(request(sockets.client(impatient), "ListTable", b"x" * 100)[:-50])
    head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head
    assert b"authorization: OTS " in head
    error = error_pb2.Error.FromString(body)
    assert (error.code, error.message) == ("OTSRequestTimeout", "Request timeout.")


def test_bodies_held_together(tmp_path: Path, sockets: Sockets) -> None:
    with server(tmp_path, bodies_bytes_max=1_000_000) as endpoint:
        client = sockets.client(endpoint)
        body = b"\xff" * 800_000
        first = sockets.connect(endpoint)
        first.sendall(request(client, "PutRow", body)[:-1])
        deadline = time.monotonic() + 5
        while (answer := client.call("PutRow", body)).status != 503:
            assert time.monotonic() < deadline
        error = error_pb2.Error.FromString(answer.body)
        assert (error.code, error.message) == ("OTSServerBusy", "Server is busy.")
        first.sendall(b"\xff")
        assert first.recv(12) == b"HTTP/1.1 400"
        assert client.call("PutRow", body).status == 400


def create_table(client: WireClient) -> None:
    key = table_pb2.PrimaryKeySchema(name="id", type=table_pb2.PRIMARY_KEY_TYPE_INTEGER)
    reserved = capacity_pb2.ReservedThroughput(capacity_unit=capacity_pb2.CapacityUnit(read=0, write=0))
    meta = table_pb2.TableMeta(table_name=TABLE, primary_key=[key])
    message = table_pb2.CreateTableRequest(table_meta=meta, reserved_throughput=reserved)
    assert client.call("CreateTable", message.SerializeToString()).status == 200


def put(number: int, size: int = 10) -> bytes:
    row = encode_change((("id", number),), [("c", "x" * size, None, 0)], False)
    return row_pb2.PutRowRequest(
        table_name=TABLE, row=row, condition=row_pb2.Condition(row_existence=row_pb2.ROW_EXISTENCE_EXPECTATION_IGNORE)
    ).SerializeToString()


def get_all() -> bytes:
    return row_pb2.GetRangeRequest(
        table_name=TABLE,
        direction=row_pb2.DIRECTION_FORWARD,
        max_versions=1,
        inclusive_start_primary_key=encode_key((("id", INF_MIN),)),
        exclusive_end_primary_key=encode_key((("id", INF_MAX),)),
    ).SerializeToString()


def test_a_full_queue_says_busy_and_loses_nothing(tmp_path: Path, sockets: Sockets) -> None:
    with server(tmp_path, write_threads=1, queue_max=1) as endpoint:
        client = sockets.client(endpoint)
        create_table(client)
        statuses: dict[int, int] = {}

        def write(first: int, writer: WireClient) -> None:
            for number in range(first, first + 40):
                statuses[number] = writer.call("PutRow", put(number)).status

        writers = [threading.Thread(target=write, args=(1_000 * n, sockets.client(endpoint))) for n in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert set(statuses.values()) == {200, 503}
        answer = row_pb2.GetRangeResponse.FromString(client.call("GetRange", get_all()).body)
        found = {key[0][1] for key, _, _ in decode_rows(answer.rows)}
        assert found == {number for number, status in statuses.items() if status == 200}


def test_answers_that_are_not_taken(tmp_path: Path, sockets: Sockets) -> None:
    with server(tmp_path, write_timeout_s=0.5) as endpoint:
        client = sockets.client(endpoint)
        create_table(client)
        for number in range(3):
            assert client.call("PutRow", put(number, 1_000_000)).status == 200
        lazy = sockets.connect(endpoint, receive_buffer_bytes=4_096)
        lazy.sendall(request(client, "GetRange", get_all()) * 4)
        for in_flight in (b"1", b"0"):
            deadline = time.monotonic() + 10
            while b"lutra_requests_in_flight " + in_flight not in client.send("/metrics", {}, method="GET").body:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert len(received(lazy)) < 12_000_000


ROOM_SCRIPT = """
import sys
from pathlib import Path
from lutra.instance.engine import Engine
from lutra.instance.memory_keeper import Measured, MemoryKeeper
from lutra.instance.memory_plan import MemoryPlan
from lutra.server.auth.credentials import Credentials
from lutra.server.http.options import ServerOptions
from lutra.server.http.server import run_server
data, key, secret, full = sys.argv[1:]
limit = 1 << 30
engine = Engine.open(data)
engine.create_instance("test")
plan = MemoryPlan.of(limit, 62 << 20)
keeper = MemoryKeeper(engine.resources, plan, lambda: Measured(limit if Path(full).exists() else limit // 2))
listening = lambda endpoint: print(endpoint, flush=True)
run_server(
    engine, Credentials(key, secret), ServerOptions(port=0), on_listening=listening, require_room=keeper.require_room
)
keeper.stop()
engine.close()
"""


def test_where_memory_is_full_what_needs_much_is_refused(tmp_path: Path, sockets: Sockets) -> None:
    """And rows are read as ever; as soon as there is room again all goes on."""
    full = tmp_path / "full"
    with server(tmp_path, script=ROOM_SCRIPT, told=str(full)) as endpoint:
        client = sockets.client(endpoint)
        create_table(client)
        assert client.call("PutRow", put(1)).status == 200
        full.touch()
        deadline = time.monotonic() + 30
        while (answer := client.call("PutRow", put(1))).status != 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        error = error_pb2.Error.FromString(answer.body)
        assert (error.code, "memory limit" in error.message) == ("OTSServerBusy", True)
        assert client.call("ListTable").status == 200
        full.unlink()
        while client.call("PutRow", put(1)).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
