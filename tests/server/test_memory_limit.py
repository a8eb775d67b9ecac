"""A server and its builders under a memory limit, measured from outside; and what it refuses where there is none."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tablestore as ots
from support.server import ServerNotStarted, ServerProcess
from support.waiting import wait_until

LIMIT_MIB = 288
DIMENSION = 256
ROWS = 40_000
BATCH = 100
TABLE, INDEX = "vectors", "vectors_index"


def pss_mib(pid: int) -> float:
    """Of a process and all below it: what they share counts once."""
    total = 0
    for one in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


def make_table(client: ots.OTSClient) -> None:
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client.create_table(ots.TableMeta(TABLE, [("id", "INTEGER")]), ots.TableOptions(), throughput)
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, DIMENSION)
    fields = [ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=options)]
    client.create_search_index(TABLE, INDEX, ots.SearchIndexMeta(fields))


def put(client: ots.OTSClient, first: int, vectors: np.ndarray) -> None:
    ignore = ots.Condition(ots.RowExistenceExpectation.IGNORE)
    rows = [
        ots.PutRowItem(ots.Row([("id", first + n)], [("v", bytearray(vector.tobytes()))]), ignore)
        for n, vector in enumerate(vectors)
    ]
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(TABLE, rows))
    assert client.batch_write_row(request).is_all_succeed()


def nearest(client: ots.OTSClient, query: np.ndarray) -> int:
    wanted = ots.SearchQuery(ots.KnnVectorQuery("v", 1, query.tolist()), limit=1, get_total_count=False)
    answer = client.search(TABLE, INDEX, wanted, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
    return int(answer.rows[0][0][0][1])


@pytest.mark.slow
def test_a_server_and_its_builders_stay_within_the_limit(tmp_path: Path) -> None:
    """Loaded, built, searched and written to, with 55 MB of vectors and codes in a limit that leaves 40 for them."""
    vectors = np.random.default_rng(1).standard_normal((ROWS, DIMENSION)).astype(np.float32)
    with ServerProcess(tmp_path / "data", arguments=("--memory-limit", f"{LIMIT_MIB}MiB")) as server:
        peaks: list[float] = [0.0]
        has_ended = threading.Event()

        def watch() -> None:
            while not has_ended.wait(0.1):
                peaks.append(pss_mib(server.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            client = server.client()
            make_table(client)
            for first in range(0, ROWS, BATCH):
                put(client, first, vectors[first : first + BATCH])
            random = np.random.default_rng(2)
            wait_until(lambda: nearest(client, vectors[ROWS - 1]) == ROWS - 1, 120)
            until_s = time.monotonic() + 20
            while time.monotonic() < until_s:
                row = int(random.integers(ROWS))
                assert nearest(client, vectors[row]) == row
        finally:
            has_ended.set()
            watching.join()
    assert max(peaks) <= LIMIT_MIB, f"{max(peaks):.0f} MiB"
    assert max(peaks) > 100, "it was measured"


def test_a_limit_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerNotStarted, match=r"a memory limit of 100 MiB is too little.*give it \d+ MiB or more"):
        ServerProcess(tmp_path / "data", arguments=("--memory-limit", "100MiB")).start()
