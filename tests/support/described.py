"""Tables and indexes of a server as it describes them, in the nouns of the model."""

from __future__ import annotations

from support.server import ServerProcess
from support.wire_client import WireClient
from support.wire_tables import call

from lutra.model.indexes import IndexSchema
from lutra.server.protocol.index_messages import parse_index_schema
from lutra.server.wire import index_pb2


def search_indexes(server: ServerProcess, table: str, instance: str = "test") -> dict[str, IndexSchema]:
    """Those of a table, by name."""
    client = WireClient(server.endpoint, instance)
    try:
        asked = index_pb2.ListSearchIndexRequest(table_name=table)
        listed = call(client, "ListSearchIndex", asked, index_pb2.ListSearchIndexResponse)
        return {one.index_name: _described(client, table, one.index_name) for one in listed.indices}
    finally:
        client.close()


def _described(client: WireClient, table: str, index: str) -> IndexSchema:
    asked = index_pb2.DescribeSearchIndexRequest(table_name=table, index_name=index)
    told = call(client, "DescribeSearchIndex", asked, index_pb2.DescribeSearchIndexResponse)
    made = index_pb2.CreateSearchIndexRequest(schema=told.schema, time_to_live=told.time_to_live)
    return parse_index_schema(made)
