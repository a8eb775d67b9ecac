"""Search indexes on the wire: their schemas to and from `lutra.model.indexes`."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import (
    FieldSchema,
    FieldType,
    IndexDescription,
    IndexSchema,
    IndexUpdate,
    JsonType,
    Metric,
    VectorOptions,
)
from lutra.model.queries import PrimaryKeySort
from lutra.server.protocol.parsing import enum_of
from lutra.server.protocol.sorts import parse_sort, sort_message
from lutra.server.protocol.text_messages import parse_text_options, write_text_options
from lutra.server.wire import index_pb2 as wire

NS_PER_US = 1_000
_SERVED_TYPES = {kind.value: kind for kind in FieldType}


def parse_index_schema(request: wire.CreateSearchIndexRequest) -> IndexSchema:
    """The index a CreateSearchIndex asks for. Raises ParameterInvalid naming what is malformed or not served."""
    if not request.HasField("schema"):
        raise ParameterInvalid("[schema] must not be null")
    setting = request.schema.index_setting
    if setting.enable_custom_column_version:
        raise ParameterInvalid("[enable_custom_column_version] is not supported")
    if request.schema.index_sort.disable_default_pk_sorter:
        raise ParameterInvalid("[disable_default_pk_sorter] in the sort of an index is not supported")
    # The number of shards and their routing place data. There is one shard here, so both are met by any value.
    size = setting.routing_partition_size
    return IndexSchema(
        fields=tuple(_parse_field(field) for field in request.schema.field_schemas),
        sort=parse_sort(request.schema.index_sort),
        routing_fields=tuple(setting.routing_fields),
        routing_partition_size=size if setting.HasField("routing_partition_size") else None,
        ttl_s=request.time_to_live if request.HasField("time_to_live") else -1,
    )


def parse_index_update(request: wire.UpdateSearchIndexRequest) -> IndexUpdate:
    """What an UpdateSearchIndex changes. Raises ParameterInvalid naming what is malformed or not served."""
    weights = {one.index_name: one.weight for one in request.query_flow_weight}
    if len(weights) < len(request.query_flow_weight):
        raise ParameterInvalid("[query_flow_weight] has one entry for each index")
    return IndexUpdate(
        ttl_s=request.time_to_live if request.HasField("time_to_live") else None,
        added=tuple(_parse_field(field) for field in request.added_field_schemas),
        weights=tuple(weights.items()),
        switch_with=request.switch_index_name or None,
    )


def _parse_field(message: wire.FieldSchema, depth: int = 0) -> FieldSchema:
    # The Node SDK's own tests create a field whose name ends with a space, and then name it without one.
    name = message.field_name.strip()
    kind = _SERVED_TYPES.get(message.field_type)
    if kind is None:
        raise ParameterInvalid(_unserved(name, message.field_type))
    if message.enable_highlighting and kind is not FieldType.TEXT:
        raise ParameterInvalid(f"[enable_highlighting] of field [{name}] goes with TEXT only")
    if depth > limits.NESTED_LEVELS_MAX:
        raise ParameterInvalid(f"field [{name}] lies below more than {limits.NESTED_LEVELS_MAX} levels of fields")
    # Node cannot send `false`, so an absent flag says nothing: the documented defaults hold, and it is told again as
    # absent. What says how texts are cut means nothing to other fields; nor does json_type, which Python reads as
    # OBJECT where there is none, and sends again.
    return FieldSchema(
        name=name,
        type=kind,
        index=message.index if message.HasField("index") else None,
        sort_and_aggregate=message.sort_and_agg if message.HasField("sort_and_agg") else None,
        store=message.store if message.HasField("store") else None,
        is_array=message.is_array,
        vector=_parse_vector_options(message) if message.HasField("vector_options") else None,
        text=parse_text_options(message) if kind is FieldType.TEXT else None,
        date_formats=tuple(message.date_formats),
        is_virtual=message.is_virtual_field if message.HasField("is_virtual_field") else None,
        sources=tuple(message.source_field_names),
        fields=tuple(_parse_field(below, depth + 1) for below in message.field_schemas),
        json_type=_parse_json_type(message) if kind is FieldType.JSON and message.HasField("json_type") else None,
    )


def _unserved(name: str, kind: int) -> str:
    names = wire.FieldType.DESCRIPTOR.values_by_number
    if kind == wire.FIELD_TYPE_UNSPECIFIED or kind not in names:
        return f"field [{name}] has no valid type: {kind}"
    return f"field type {names[kind].name.removeprefix('FIELD_TYPE_')} of field [{name}] is not supported"


def _parse_json_type(message: wire.FieldSchema) -> JsonType:
    return enum_of(JsonType, message.json_type, f"json_type of field [{message.field_name}]")


def _parse_vector_options(message: wire.FieldSchema) -> VectorOptions:
    options = message.vector_options
    if options.HasField("data_type") and options.data_type != wire.VECTOR_DATA_TYPE_FLOAT_32:
        raise ParameterInvalid(f"the vector data type of field [{message.field_name}] must be VD_FLOAT_32")
    return VectorOptions(
        dimension=options.dimension,
        metric=enum_of(Metric, options.metric_type, f"metric of field [{message.field_name}]"),
    )


def describe_index_message(description: IndexDescription, *, with_sync_stat: bool) -> wire.DescribeSearchIndexResponse:
    """DescribeSearchIndex's answer. An index is RUNNING from its creation: it can be searched while it fills."""
    schema = description.schema
    sync_stat = wire.SyncStat(
        sync_phase=wire.SyncPhase.Name(description.phase),
        current_sync_timestamp=description.synced_us * NS_PER_US,
    )
    return wire.DescribeSearchIndexResponse(
        schema=wire.IndexSchema(
            field_schemas=[_field_message(field) for field in schema.fields],
            index_setting=wire.IndexSetting(
                number_of_shards=1,
                routing_fields=schema.routing_fields,
                routing_partition_size=schema.routing_partition_size,
            ),
            # One with nested fields can have no sort: what is told makes the same index again.
            index_sort=None if schema.has_nested else sort_message(schema.sort or (PrimaryKeySort(),)),
        ),
        sync_stat=sync_stat if with_sync_stat else None,
        metering_info=wire.MeteringInfo(
            row_count=description.rows, timestamp=description.synced_us // 1_000_000, reserved_read_cu=0
        ),
        brother_index_name=description.brother,
        query_flow_weight=[
            wire.QueryFlowWeight(index_name=name, weight=weight) for name, weight in description.weights
        ],
        create_time=description.created_us,
        time_to_live=schema.ttl_s,
        index_status=wire.IndexStatus(status=wire.INDEX_STATUS_RUNNING, status_description="running"),
    )


def _field_message(field: FieldSchema) -> wire.FieldSchema:
    options = None
    if field.vector is not None:
        options = wire.VectorOptions(
            data_type=wire.VECTOR_DATA_TYPE_FLOAT_32,
            dimension=field.vector.dimension,
            metric_type=wire.VectorMetricType.Name(field.vector.metric),
        )
    message = wire.FieldSchema(
        field_name=field.name,
        field_type=wire.FieldType.Name(field.type),
        is_array=field.is_array,
        vector_options=options,
        date_formats=field.date_formats,
        source_field_names=field.sources,
        field_schemas=[_field_message(below) for below in field.fields],
        json_type=None if field.json_type is None else f"JSON_TYPE_{field.json_type.name}",
    )
    flags = {
        "index": field.index,
        "sort_and_agg": field.sort_and_aggregate,
        "store": field.store,
        "is_virtual_field": field.is_virtual,
    }
    for flag, said in flags.items():
        if said is not None:
            setattr(message, flag, said)
    if field.text is not None:
        write_text_options(message, field.text)
    return message
