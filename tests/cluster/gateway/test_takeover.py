"""A node is killed while others are asked: what was acknowledged is there once, what was refused is not there."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import tablestore as ots
from support.node_cluster import NodeCluster
from support.sdk import IGNORE, create_split
from support.waiting import wait_until

TABLE = "counted"
ROWS = 24
RESUMES_WITHIN_S = 60.0
"""On a machine that does much else; on an idle one it is less than 10."""
SURELY_NOT_DONE = {"OTSServerBusy", "OTSRowOperationConflict"}


class Counting:
    """Increments rows through one node, each row by one thread, and keeps count of what it was told."""

    def __init__(self, client: ots.OTSClient, rows: list[int]) -> None:
        self.client, self.rows = client, rows
        self.acknowledged: Counter[int] = Counter()
        self.unknown: Counter[int] = Counter()
        self.codes: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._count, args=(row,)) for row in rows]

    def _count(self, row: int) -> None:
        while not self.stopping.is_set():
            change = ots.Row([("k", row)], {"increment": [("n", 1)]})
            try:
                self.client.update_row(TABLE, change, IGNORE)
            except ots.OTSServiceError as error:
                self.codes[error.get_error_code()] += 1
                if error.get_error_code() not in SURELY_NOT_DONE:
                    self.unknown[row] += 1
                time.sleep(0.05)
            except ots.OTSClientError:
                self.unknown[row] += 1
            else:
                self.acknowledged[row] += 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_increment_is_made_once(tmp_path: Path) -> None:
    with NodeCluster(tmp_path) as cluster:
        client = cluster.client()
        create_split(client, TABLE, ("k", "INTEGER"), [4, 8, 12, 16, 20])
        status = cluster.wait_serving()
        owners = {row.owner for row in status.partitions}
        killed = next(node for node in cluster.nodes[1:] if node.name in owners)
        counting = [
            Counting(cluster.client(number, socket_timeout=60), list(range(number, ROWS, 3)))
            for number, node in enumerate(cluster.nodes)
            if node is not killed
        ]
        for one in counting:
            for thread in one.threads:
                thread.start()
        wait_until(lambda: all(one.acknowledged[row] > 3 for one in counting for row in one.rows), RESUMES_WITHIN_S)
        killed.kill()
        killed_s, before = time.monotonic(), sum((one.acknowledged for one in counting), Counter())

        def have_resumed() -> bool:  # one of a row may have been on its way
            return all(one.acknowledged[row] > before[row] + 1 for one in counting for row in one.rows)

        try:
            wait_until(have_resumed, RESUMES_WITHIN_S)
            resumed_s = time.monotonic() - killed_s
        finally:
            for one in counting:
                one.stopping.set()
            for one in counting:
                for thread in one.threads:
                    thread.join()
        for one in counting:
            for row in one.rows:
                _, found, _ = client.get_row(TABLE, [("k", row)], max_version=1)
                value = 0 if found is None else found.attribute_columns[0][1]
                assert one.acknowledged[row] <= value <= one.acknowledged[row] + one.unknown[row], (row, one.codes)
        codes = sum((one.codes for one in counting), Counter())
        assert "Traceback" not in cluster.log_text()
        print(f"{len(before)} rows written on after {resumed_s:.1f} s; refused: {dict(codes)}")
