"""Operations on search indexes, and Search."""

from __future__ import annotations

from dataclasses import replace

from lutra.instance.doors import InstanceDoor
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import IndexUpdate
from lutra.model.queries import ReturnColumns, SearchRequest
from lutra.search.deadline import shorten_request
from lutra.server.lanes.reply import Reply
from lutra.server.lanes.searches import Asides, IndexSearch
from lutra.server.protocol import index_messages, search_messages
from lutra.server.protocol.explanations import explanation_header
from lutra.server.protocol.parsing import parse
from lutra.server.wire import index_pb2, query_pb2


def create_search_index(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(index_pb2.CreateSearchIndexRequest, body)
    schema = index_messages.parse_index_schema(request)
    source = request.source_index_name or None
    if source is not None and not request.HasField("time_to_live"):  # it lives as long as what it is to replace
        schema = replace(schema, ttl_s=instance.describe_search_index(request.table_name, source).schema.ttl_s)
    instance.create_search_index(request.table_name, request.index_name, schema, source)
    return Reply(b"")


def update_search_index(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(index_pb2.UpdateSearchIndexRequest, body)
    update = index_messages.parse_index_update(request)
    instance.update_search_index(request.table_name, request.index_name, update)
    return Reply(b"")


def set_recall_target(instance: InstanceDoor, body: bytes, target: float) -> Reply:
    """An UpdateSearchIndex with the header that says a recall target. As nobody signs that, nothing else may come with
    it: who only forwards a request cannot have it change an index."""
    request = parse(index_pb2.UpdateSearchIndexRequest, body)
    table, index = request.table_name, request.index_name
    update = index_messages.parse_index_update(request)
    ttl_s = instance.describe_search_index(table, index).schema.ttl_s
    if update not in (IndexUpdate(), IndexUpdate(ttl_s=ttl_s)):
        raise ParameterInvalid("an UpdateSearchIndex that says a recall target changes nothing else")
    instance.update_search_index(table, index, IndexUpdate(recall_target=target))
    return Reply(b"")


def describe_search_index(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(index_pb2.DescribeSearchIndexRequest, body)
    description = instance.describe_search_index(request.table_name, request.index_name)
    with_sync_stat = request.include_sync_stat or not request.HasField("include_sync_stat")
    message = index_messages.describe_index_message(description, with_sync_stat=with_sync_stat)
    return Reply(message.SerializeToString())


def list_search_index(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(index_pb2.ListSearchIndexRequest, body)
    names = instance.list_search_indexes(request.table_name or None)
    message = index_pb2.ListSearchIndexResponse(
        indices=[index_pb2.IndexInfo(table_name=table, index_name=index) for table, index in names]
    )
    return Reply(message.SerializeToString())


def delete_search_index(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(index_pb2.DeleteSearchIndexRequest, body)
    instance.delete_search_index(request.table_name, request.index_name)
    return Reply(b"")


def search(instance: InstanceDoor, body: bytes) -> IndexSearch:
    request = parse(query_pb2.SearchRequest, body)
    wanted = search_messages.parse_search(request)
    if wanted.limit is not None and wanted.limit > limits.SEARCH_LIMIT_MAX:
        _check_index_only(instance, request, wanted)
    routing = search_messages.parse_routing(request)
    shorten_request(wanted.timeout_ms)

    def make(asides: Asides) -> Reply:
        asked = replace(wanted, explain=asides.explains, is_fresh=asides.is_fresh, recall_target=asides.recall_target)
        result = instance.search_opened(request.table_name, request.index_name, asked, routing)
        body, stats = search_messages.search_message(asked, result).SerializeToString(), result.stats
        reply = Reply(body, rows_read=len(result.rows), distances=stats.distances, reads=stats.reads)
        if stats.explanation is not None:
            reply.explanation = explanation_header(stats.explanation)
        return reply

    return IndexSearch(request.table_name, request.index_name, make)


def _check_index_only(instance: InstanceDoor, request: query_pb2.SearchRequest, wanted: SearchRequest) -> None:
    """More than SEARCH_LIMIT_MAX rows come only where none has to be fetched from the table: the protocol's bound."""
    columns = wanted.columns
    if columns.kind is ReturnColumns.ALL:
        is_index_only = False
    elif columns.kind is ReturnColumns.SPECIFIED:
        schema = instance.describe_search_index(request.table_name, request.index_name).schema
        key = {column.name for column in instance.tables.describe(request.table_name).schema.key}
        known = key | {field.name for field in schema.fields if not field.is_virtual}
        is_index_only = known.issuperset(columns.names)
    else:
        is_index_only = True
    if not is_index_only:
        raise ParameterInvalid(
            f"[limit] is {wanted.limit}, must be in [0, {limits.SEARCH_LIMIT_MAX}] where columns outside the index "
            "are returned"
        )
