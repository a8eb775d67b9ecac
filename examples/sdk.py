"""The official Tablestore SDK against a Lutra server, unchanged: which named colours look most like this one?

Start a server with ``lutra serve --data ./data``, then ``pip install tablestore`` and run ``python examples/sdk.py``
with LUTRA_ACCESS_KEY_ID and LUTRA_ACCESS_KEY_SECRET set to what the server showed at its first start. LUTRA_ENDPOINT
and LUTRA_INSTANCE name another server or instance.
"""

import json
import os
import time

import tablestore as ots

COLOURS = [
    ("tomato", "red", (255, 99, 71)),
    ("crimson", "red", (220, 20, 60)),
    ("coral", "orange", (255, 127, 80)),
    ("gold", "yellow", (255, 215, 0)),
    ("forest green", "green", (34, 139, 34)),
    ("royal blue", "blue", (65, 105, 225)),
]

client = ots.OTSClient(
    os.environ.get("LUTRA_ENDPOINT", "http://127.0.0.1:8087"),
    os.environ["LUTRA_ACCESS_KEY_ID"],
    os.environ["LUTRA_ACCESS_KEY_SECRET"],
    os.environ.get("LUTRA_INSTANCE", "default"),
)

# A table, and a search index on two of its columns.
client.create_table(
    ots.TableMeta("colours", [("name", "STRING")]),
    ots.TableOptions(),
    ots.ReservedThroughput(ots.CapacityUnit(0, 0)),
)
client.create_search_index(
    "colours",
    "by_look",
    ots.SearchIndexMeta(
        [
            ots.FieldSchema("family", ots.FieldType.KEYWORD, index=True, enable_sort_and_agg=True),
            ots.FieldSchema(
                "rgb",
                ots.FieldType.VECTOR,
                vector_options=ots.VectorOptions(
                    data_type=ots.VectorDataType.VD_FLOAT_32,
                    dimension=3,
                    metric_type=ots.VectorMetricType.VM_EUCLIDEAN,
                ),
            ),
        ]
    ),
)

# Rows; a vector is a JSON list.
for name, family, rgb in COLOURS:
    row = ots.Row([("name", name)], [("family", family), ("rgb", json.dumps(rgb))])
    client.put_row("colours", row, ots.Condition(ots.RowExistenceExpectation.IGNORE))
time.sleep(1)  # what is written is searchable within a second

# The nearest colours, among those that are not red.
response = client.search(
    "colours",
    "by_look",
    ots.SearchQuery(
        ots.KnnVectorQuery(
            field_name="rgb",
            top_k=3,
            float32_query_vector=[250.0, 110.0, 90.0],
            filter=ots.BoolQuery(must_not_queries=[ots.TermQuery("family", "red")]),
        ),
        sort=ots.Sort(sorters=[ots.ScoreSort(sort_order=ots.SortOrder.DESC)]),
        limit=3,
    ),
    ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL),
)
print("Most like (250, 110, 90), not red:")
for hit in response.search_hits:
    key, columns = hit.row
    values = {name: value for name, value, _ in columns}
    print(f"  {hit.score:.4f}  {key[0][1]:<14} {values['rgb']}")

client.delete_search_index("colours", "by_look")
client.delete_table("colours")
