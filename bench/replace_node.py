"""A node is killed: seconds, and bytes read, until its partitions answer again at another, which copies nothing.

``python -m bench.replace_node --rows 100000`` starts two nodes on loopback over a local folder (or ``--store``), fills
a table of some partitions with vectors and an index on them, waits until all is indexed in full, and kills the node
that has more of the partitions. Then it asks the other for a row of each of them, and for neighbours in all, until that
answers as it did before. What is read is what the process of the other asked its system for meanwhile; beside it stands
what lies on the store of the partitions that it took over.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import tablestore as ots
from tablestore import OTSClient

from bench import prepared
from bench.nodes import pids_of, run_nodes, status_of
from lutra.cluster.status import ClusterStatus
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore

TABLE: Final = "replaced"
INDEX: Final = "x"
_BATCH: Final = 200
_KEYS: Final = 1 << 20
"""Of partition keys: rows are spread over them."""
_WITHIN_S: Final = 3_600.0
_LOOK_S: Final = 0.02
_IGNORE: Final = ots.Condition(ots.RowExistenceExpectation.IGNORE)
_NEIGHBOURS: Final = 10
_PROBES: Final = 20


def key_of(number: int) -> int:
    return number * 0x9E3779B1 % _KEYS


def make_table(client: OTSClient, dimension: int, partitions: int) -> None:
    bounds = [_KEYS * number // partitions for number in range(1, partitions)]
    meta = ots.TableMeta(TABLE, [("k", "INTEGER"), ("id", "INTEGER")])
    nothing = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client._request_helper("CreateTable", meta, ots.TableOptions(), nothing, None, [], bounds)
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, dimension)
    fields = [ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=options)]
    client.create_search_index(TABLE, INDEX, ots.SearchIndexMeta(fields))


def fill(client: OTSClient, vectors: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    for first in range(0, len(vectors), _BATCH):
        items = [
            ots.PutRowItem(
                ots.Row([("k", key_of(number)), ("id", number)], [("v", bytearray(vectors[number].tobytes()))]), _IGNORE
            )
            for number in range(first, min(first + _BATCH, len(vectors)))
        ]
        request = ots.BatchWriteRowRequest()
        request.add(ots.TableInBatchWriteRowItem(TABLE, items))
        if not client.batch_write_row(request).is_all_succeed():
            raise RuntimeError(f"rows from {first} on were not all written")


def neighbours(client: OTSClient, vector: np.ndarray[Any, np.dtype[np.float32]]) -> list[int]:
    """Ids, the nearest first."""
    query = ots.KnnVectorQuery("v", top_k=_NEIGHBOURS, float32_query_vector=vector.tolist())
    request = ots.SearchQuery(query, limit=_NEIGHBOURS, sort=ots.Sort([ots.ScoreSort()]))
    answer = client.search(TABLE, INDEX, request, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
    return [key[1][1] for key, _ in answer.rows]


def wait_for(what: str, is_so: Callable[[], bool]) -> float:
    """Seconds until it is so; errors of a service that is busy with it are none."""
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < _WITHIN_S:
        try:
            if is_so():
                return time.perf_counter() - began_s
        except ots.OTSServiceError:
            pass
        time.sleep(_LOOK_S)
    raise RuntimeError(f"{what} takes more than {_WITHIN_S:,.0f} s")


def partitions_of(status: ClusterStatus) -> list[Any]:
    return [row for row in status.partitions if row.table.endswith(f"/{TABLE}")]


def is_indexed(status: ClusterStatus) -> bool:
    rows = partitions_of(status)
    return all(row.told is not None and row.told.persisted == row.told.indexed == row.told.written for row in rows)


def read_so_far(pid: int) -> dict[str, int]:
    """Bytes that a process has read: asked its system for, and had from the disk."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    found = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return {"asked": found["rchar"], "disk": found["read_bytes"]}


def stored_bytes(store: ObjectStore, ids: Sequence[str]) -> int:
    names = [name for each in ids for folder in ("rows", "partitions") for name in store.list(f"{folder}/{each}")]
    return sum(store.size(name) for name in names)


def run(rows: int, dimension: int, partitions: int, folder: Path) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((rows, dimension), np.float32)
    probes = rng.standard_normal((_PROBES, dimension), np.float32)
    store = open_store(str(folder / "store"))
    with run_nodes(folder, 2) as endpoints:
        clients = {name: prepared.client(endpoint) for name, endpoint in endpoints.items()}
        client = next(iter(clients.values()))
        make_table(client, dimension, partitions)
        began_s = time.perf_counter()
        fill(client, vectors)
        filled_s = time.perf_counter() - began_s
        wait_for("indexing", lambda: is_indexed(status_of(folder)))
        status = status_of(folder)
        owners = [row.owner for row in partitions_of(status)]
        dead, left = sorted(endpoints, key=owners.count, reverse=True)
        taken = [row.entry for row in partitions_of(status) if row.owner == dead]
        pids = pids_of(status)
        known = [neighbours(clients[left], probe) for probe in probes]
        places = [next(n for n in range(rows) if entry.holds(_bound(key_of(n)))) for entry in taken]
        before = read_so_far(pids[left])
        os.kill(pids[dead], signal.SIGKILL)
        killed_s = time.perf_counter()

        def has(number: int) -> bool:
            key = [("k", key_of(number)), ("id", number)]
            return clients[left].get_row(TABLE, key, columns_to_get=["id"], max_version=1)[1] is not None

        for number in places:
            wait_for("taking over", lambda number=number: has(number))  # type: ignore[misc]
        rows_s, rows_read = time.perf_counter() - killed_s, read_so_far(pids[left])
        wait_for("searching", lambda: neighbours(clients[left], probes[0]) == known[0])
        searched_s, searched_read = time.perf_counter() - killed_s, read_so_far(pids[left])
        same = sum(neighbours(clients[left], probe) == answer for probe, answer in zip(probes, known, strict=True))
        return {
            "rows": rows,
            "dimension": dimension,
            "partitions": partitions,
            "fill_s": filled_s,
            "taken_over": len(taken),
            "stored_bytes": stored_bytes(store, [entry.id for entry in taken]),
            "rows_answer_s": rows_s,
            "rows_read_bytes": {name: rows_read[name] - before[name] for name in before},
            "searches_answer_s": searched_s,
            "searches_read_bytes": {name: searched_read[name] - before[name] for name in before},
            "same_answers": f"{same} of {_PROBES}",
        }


def _bound(key: int) -> bytes:
    return (key + 2**63).to_bytes(8, "big")


def show(found: dict[str, Any]) -> None:
    stored_mb = found["stored_bytes"] / 1e6
    print(
        f"{found['rows']:,} × {found['dimension']}, {found['partitions']} partitions, filled in {found['fill_s']:.0f} s"
    )
    print(f"killed: the node that had {found['taken_over']} of them, {stored_mb:,.0f} MB on the store")
    for what in ("rows", "searches"):
        read = found[f"{what}_read_bytes"]
        print(
            f"{what:>9} of all answer after {found[f'{what}_answer_s']:6.2f} s; the other node had read "
            f"{read['asked'] / 1e6:,.1f} MB, {read['disk'] / 1e6:,.1f} MB of it from the disk"
        )
    print(f"answers as before: {found['same_answers']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="where the store is to be; None: a temporary one")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lutra-bench-", dir=arguments.folder) as folder:
        found = run(arguments.rows, arguments.dimension, arguments.partitions, Path(folder))
    show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
