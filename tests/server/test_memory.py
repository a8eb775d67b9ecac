"""A server that refuses and answers many requests keeps nothing of them."""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path

import pytest
from support.server import ServerProcess
from support.wire_client import WireClient

from lutra.server.wire import table_pb2

ROUNDS = 1_500
GROWTH_BYTES_MAX = 6 << 20


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bother(endpoint: str, rounds: int) -> None:
    """Every kind of request that needs no table, good and bad."""
    client = WireClient(endpoint)
    missing = table_pb2.DescribeTableRequest(table_name="missing").SerializeToString()
    deflate: dict[str, str | None] = {"x-ots-request-compress-type": "deflate"}
    for number in range(rounds):
        statuses = [
            client.call("ListTable").status,
            client.call("DescribeTable", missing).status,
            client.call("DescribeTable", zlib.compress(missing), deflate).status,
            client.call("PutRow", b"\xff" * 2_000).status,
            client.call(f"Unknown{number}").status,
            client.call("ListTable", changes={"x-ots-accesskeyid": f"stranger-{number}"}).status,
            client.send("/ListTable", client.headers("ListTable", b"", v4=("20261123", f"region-{number}"))).status,
        ]
        assert statuses == [200, 404, 404, 400, 400, 403, 200]
        if number % 50 == 0:
            client.close()
    client.close()


@pytest.mark.slow
def test_requests_leave_nothing_behind(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:

        def bother_together(rounds: int) -> None:
            threads = [threading.Thread(target=bother, args=(server.endpoint, rounds)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        bother_together(ROUNDS // 3)
        before = resident_bytes(server.pid)
        bother_together(ROUNDS)
        growth = resident_bytes(server.pid) - before
        print(f"{3 * ROUNDS * 7} requests: grew by {growth} bytes")
        assert growth < GROWTH_BYTES_MAX
