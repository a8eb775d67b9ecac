"""A node measures what searches of its partitions find of the nearest rows, and tells it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import tablestore as ots
from support.node_cluster import NodeCluster
from support.sdk import IGNORE
from support.waiting import wait_until

WITHIN_S = 90.0


def test_a_node_measures_its_partitions(tmp_path: Path) -> None:
    with NodeCluster(tmp_path, nodes=1, arguments=("--recall-sample", "1")) as cluster:
        client = cluster.client(0)
        meta = ots.TableMeta("t", [("id", "INTEGER")])
        client.create_table(meta, ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
        vector = ots.VectorOptions(
            data_type=ots.VectorDataType.VD_FLOAT_32, dimension=2, metric_type=ots.VectorMetricType.VM_EUCLIDEAN
        )
        field = ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=vector)
        client.create_search_index("t", "x", ots.SearchIndexMeta([field]))
        for number in range(30):
            client.put_row("t", ots.Row([("id", number)], [("v", json.dumps([number, 1]))]), IGNORE)
        query = ots.SearchQuery(ots.KnnVectorQuery("v", top_k=5, float32_query_vector=[3.0, 1.0]), limit=5)

        def are_found() -> bool:
            found = client.search("t", "x", query, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
            return len(found.rows) == 5

        def is_measured() -> bool:  # which nobody's search may hold up
            return any(row.told is not None and row.told.recall for row in cluster.status().partitions)

        wait_until(are_found, WITHIN_S)
        wait_until(is_measured, WITHIN_S)
        (row,) = cluster.status().partitions
        assert row.told is not None
        assert row.told.recall["x"]["unfiltered"]["recall"] == 1.0
        with urllib.request.urlopen(f"{cluster.nodes[0].endpoint}/metrics", timeout=WITHIN_S) as answer:
            told = answer.read().decode()
        assert 'lutra_partition_measured_recall{bound="mean",filtered="false",index="x"' in told
