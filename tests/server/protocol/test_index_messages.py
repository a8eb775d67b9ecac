"""Search indexes on the wire: requests of the official SDK, and what it reads in the answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tablestore as ots
from tablestore.decoder import OTSProtoBufferDecoder
from tablestore.encoder import OTSProtoBufferEncoder

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import (
    AnalyzerParameters,
    FieldSchema,
    FieldType,
    FuzzyParameters,
    IndexDescription,
    IndexSchema,
    JsonType,
    Metric,
    SingleWordParameters,
    SplitParameters,
    SyncPhase,
    TextOptions,
    TextSimilarity,
    VectorOptions,
)
from lutra.model.queries import FieldSort, PrimaryKeySort, SortMode
from lutra.server.protocol.index_messages import describe_index_message, parse_index_schema
from lutra.server.wire import index_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf8")
DECODER = OTSProtoBufferDecoder("utf8")
VECTOR = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_COSINE, 4)
SCHEMA = IndexSchema(
    fields=(
        FieldSchema("l", FieldType.LONG, False, True, False),
        FieldSchema("k", FieldType.KEYWORD, True, False, True, is_array=True),
        FieldSchema("d", FieldType.DATE, True, True, True, date_formats=("yyyy-MM-dd", "epoch_millis")),
        FieldSchema("v", FieldType.VECTOR, True, False, True, vector=VectorOptions(4, Metric.COSINE)),
        FieldSchema("w", FieldType.LONG, True, False, False, is_virtual=True, sources=("k",)),
    ),
    sort=(FieldSort("l", descending=True, mode=SortMode.MIN), PrimaryKeySort()),
    routing_fields=("a",),
    ttl_s=1_000_000,
)
SDK_META = ots.SearchIndexMeta(
    [
        ots.FieldSchema("l", ots.FieldType.LONG, False, False, enable_sort_and_agg=True),
        ots.FieldSchema("k", ots.FieldType.KEYWORD, True, True, True, enable_sort_and_agg=False),
        ots.FieldSchema("d", ots.FieldType.DATE, True, True, False, True, date_formats=["yyyy-MM-dd", "epoch_millis"]),
        ots.FieldSchema("v", ots.FieldType.VECTOR, True, True, False, False, vector_options=VECTOR),
        ots.FieldSchema("w", ots.FieldType.LONG, True, False, False, False, is_virtual_field=True, source_fields=["k"]),
    ],
    ots.IndexSetting(["a"]),
    ots.Sort([ots.FieldSort("l", ots.SortOrder.DESC, ots.SortMode.MIN), ots.PrimaryKeySort()]),
    time_to_live=1_000_000,
)


def create(meta: ots.SearchIndexMeta) -> wire.CreateSearchIndexRequest:
    data = ENCODER.encode_request("CreateSearchIndex", "t", "i", meta).SerializeToString()
    return wire.CreateSearchIndexRequest.FromString(data)


def test_an_index_as_the_sdk_creates_it() -> None:
    request = create(SDK_META)
    assert (request.table_name, request.index_name) == ("t", "i")
    assert parse_index_schema(request) == SCHEMA


def test_flags_that_are_absent_have_their_documented_defaults() -> None:
    """Node leaves out every ``false``."""
    field = wire.FieldSchema(field_name="k", field_type=wire.FIELD_TYPE_KEYWORD)
    request = wire.CreateSearchIndexRequest(
        table_name="t", index_name="i", schema=wire.IndexSchema(field_schemas=[field])
    )
    schema = parse_index_schema(request)
    assert schema == IndexSchema((FieldSchema("k", FieldType.KEYWORD),))
    assert schema.fields[0].is_sortable


def test_spaces_around_the_name_of_a_field_are_no_part_of_it() -> None:
    """Node's own tests create ``"col_nested2 "`` and query the path ``"col_nested2"``."""
    below = ots.FieldSchema("\tb ", ots.FieldType.LONG)
    meta = ots.SearchIndexMeta([ots.FieldSchema(" n ", ots.FieldType.NESTED, sub_field_schemas=[below])])
    [field] = parse_index_schema(create(meta)).fields
    assert (field.name, [one.name for one in field.fields]) == ("n", ["b"])


@pytest.mark.parametrize("sent", [None, False, True])
def test_flags_are_told_as_they_were_said(sent: bool | None) -> None:
    """Python's own tests expect a flag that was not sent to be absent, which it reads as ``False``."""
    meta = ots.SearchIndexMeta([ots.FieldSchema("l", ots.FieldType.LONG, sent, sent, enable_sort_and_agg=sent)])
    schema = parse_index_schema(create(meta))
    assert schema.fields[0].is_sortable is schema.fields[0].is_indexed is (sent is not False)
    described = describe_index_message(
        IndexDescription("t", "i", schema, 5, SyncPhase.INCR, 0, 0, 0), with_sync_stat=True
    )
    [field] = described.schema.field_schemas
    for flag in ("index", "sort_and_agg", "store"):
        assert (getattr(field, flag) if field.HasField(flag) else None) is sent
    assert not field.HasField("is_virtual_field")
    (read, _), _ = DECODER.decode_response("DescribeSearchIndex", described.SerializeToString(), "id")
    assert read.fields[0].enable_sort_and_agg is bool(sent)


@pytest.mark.parametrize(
    ("analyzer", "sent", "parameters"),
    [
        (None, None, None),
        ("single_word", None, None),
        ("single_word", ots.SingleWordAnalyzerParameter(True, False), SingleWordParameters(True, False)),
        ("split", ots.SplitAnalyzerParameter("--"), SplitParameters("--")),
        ("fuzzy", ots.FuzzyAnalyzerParameter(2, 4), FuzzyParameters(2, 4)),
        ("min_word", None, None),
        ("max_word", None, None),
    ],
)
@pytest.mark.parametrize("is_highlighted", [None, False, True])
def test_analyzers_are_told_as_they_were_sent(
    analyzer: str | None, sent: object, parameters: AnalyzerParameters | None, is_highlighted: bool | None
) -> None:
    similarity = ots.TextSimilarity.BM25 if analyzer == "split" else None
    field = ots.FieldSchema(
        "t",
        ots.FieldType.TEXT,
        analyzer=analyzer,
        analyzer_parameter=sent,
        enable_highlighting=is_highlighted,
        text_similarity=similarity,
    )
    request = create(ots.SearchIndexMeta([field]))
    schema = parse_index_schema(request)
    options = TextOptions(analyzer, parameters, TextSimilarity.BM25 if similarity else None, is_highlighted)
    assert schema == IndexSchema((FieldSchema("t", FieldType.TEXT, text=options),))
    assert not schema.fields[0].is_sortable
    message = describe_index_message(
        IndexDescription("t", "i", schema, 5, SyncPhase.INCR, 0, 0, 0), with_sync_stat=True
    )
    [told], [asked] = message.schema.field_schemas, request.schema.field_schemas
    for name in ("analyzer", "analyzer_parameter", "enable_highlighting", "text_similarity"):
        assert told.HasField(name) == asked.HasField(name)
        assert getattr(told, name) == getattr(asked, name)
    (read, _), _ = DECODER.decode_response("DescribeSearchIndex", message.SerializeToString(), "id")
    assert read.fields[0].analyzer == (analyzer or "")
    if sent is not None:
        assert vars(read.fields[0].analyzer_parameter) == vars(sent)


@pytest.mark.parametrize(
    ("analyzer", "sent", "parameters"),
    [
        ("single_word", b"", SingleWordParameters()),
        ("", b"\x10\x01", SingleWordParameters(delimit_word=True)),
        ("split", b"\x10\x01", SplitParameters(None, True)),
        ("fuzzy", b"\x10\x03\x18\x00", FuzzyParameters(None, 3, False)),
    ],
)
def test_parameters_that_java_sends(analyzer: str, sent: bytes, parameters: AnalyzerParameters) -> None:
    """It leaves out what was not said, and knows whether a delimiter and n-grams are case-sensitive."""
    request = with_field(field_type=wire.FIELD_TYPE_TEXT, analyzer=analyzer, analyzer_parameter=sent)
    schema = parse_index_schema(request)
    assert schema.fields[0].text == TextOptions(analyzer, parameters)
    message = describe_index_message(
        IndexDescription("t", "i", schema, 5, SyncPhase.INCR, 0, 0, 0), with_sync_stat=True
    )
    assert message.schema.field_schemas[0].HasField("analyzer_parameter")
    assert message.schema.field_schemas[0].analyzer_parameter == sent


def test_an_analyzer_of_another_type_is_no_concern() -> None:
    request = with_field(analyzer="no_such", analyzer_parameter=b"\xff", enable_highlighting=False)
    assert parse_index_schema(request) == IndexSchema((FieldSchema("f", FieldType.KEYWORD),))


def with_field(**changes: object) -> wire.CreateSearchIndexRequest:
    field = wire.FieldSchema(**({"field_name": "f", "field_type": wire.FIELD_TYPE_KEYWORD} | changes))
    return wire.CreateSearchIndexRequest(table_name="t", index_name="i", schema=wire.IndexSchema(field_schemas=[field]))


def below(levels: int) -> wire.FieldSchema:
    """A field with so many within each other below it."""
    fields = [below(levels - 1)] if levels else []
    return wire.FieldSchema(field_name="f", field_type=wire.FIELD_TYPE_NESTED, field_schemas=fields)


def test_fields_below_fields_are_told_as_they_were_sent() -> None:
    vectors = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_COSINE, 2)
    below = [
        ots.FieldSchema("price", ots.FieldType.LONG),
        ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=vectors),
        ots.FieldSchema("parts", ots.FieldType.NESTED, sub_field_schemas=[ots.FieldSchema("k", ots.FieldType.KEYWORD)]),
    ]
    object_, nested = ots.JsonType.OBJECT_JSON, ots.JsonType.NESTED_JSON
    meta = ots.SearchIndexMeta(
        [
            ots.FieldSchema("items", ots.FieldType.NESTED, sub_field_schemas=below),
            ots.FieldSchema("j", ots.FieldType.JSON, json_type=object_, sub_field_schemas=below[:1]),
            ots.FieldSchema("jn", ots.FieldType.JSON, json_type=nested, sub_field_schemas=below[:1]),
        ]
    )
    schema = parse_index_schema(create(meta))
    assert [field.json_type for field in schema.fields] == [None, JsonType.OBJECT, JsonType.NESTED]
    assert sorted(schema.spaces) == ["", "items", "items.parts", "jn"]
    assert sorted(schema.spaces[""]) == ["items", "j", "j.price", "jn"]
    assert sorted(schema.spaces["items"]) == ["items.parts", "items.price", "items.v"]
    message = describe_index_message(
        IndexDescription("t", "i", schema, 5, SyncPhase.INCR, 0, 0, 0), with_sync_stat=True
    )
    (read, _), _ = DECODER.decode_response("DescribeSearchIndex", message.SerializeToString(), "id")
    assert [field.field_name for field in read.fields[0].sub_field_schemas] == ["price", "v", "parts"]
    assert read.fields[0].sub_field_schemas[1].vector_options.dimension == 2
    assert [field.json_type for field in read.fields[1:]] == [object_, nested]
    again = parse_index_schema(create(read))  # but for flags that were not sent, which Python reads as False
    types = [
        {path: {name: field.type for name, field in fields.items()} for path, fields in of.spaces.items()}
        for of in (again, schema)
    ]
    assert types[0] == types[1]


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (wire.CreateSearchIndexRequest(table_name="t", index_name="i"), r"\[schema\] must not be null"),
        (with_field(field_type=0), r"field \[f\] has no valid type"),
        (with_field(field_type=77), r"field \[f\] has no valid type: 77"),
        (with_field(enable_highlighting=True), "enable_highlighting.* goes with TEXT only"),
        (with_field(field_type=5, text_similarity=2), r"similarity of field \[f\] must be BM25"),
        (
            with_field(field_type=5, analyzer="max_word", analyzer_parameter=b""),
            r"\[max_word\] of field \[f\] takes no",
        ),
        (with_field(field_type=5, analyzer_parameter=b"\xff"), r"\[analyzer_parameter\] of field \[f\] is malformed"),
        (with_field(field_type=12, json_type=3), r"json_type of field \[f\]: 3"),
        (with_field(field_type=6, field_schemas=[wire.FieldSchema(field_name="g")]), r"field \[g\] has no valid type"),
        (with_field(field_type=6, field_schemas=[below(8)]), "below more than 5 levels"),
        (with_field(field_type=9, vector_options=wire.VectorOptions(data_type=1, dimension=3)), "VD_FLOAT_32"),
        (with_field(field_type=9, vector_options=wire.VectorOptions(metric_type=7)), r"metric of field \[f\]: 7"),
    ],
)
def test_malformed_schemas(request_: wire.CreateSearchIndexRequest, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        parse_index_schema(request_)


def test_parts_not_served_are_refused() -> None:
    request = create(SDK_META)
    request.schema.index_sort.disable_default_pk_sorter = False
    assert parse_index_schema(request) == SCHEMA
    request.schema.index_sort.disable_default_pk_sorter = True
    with pytest.raises(ParameterInvalid, match="disable_default_pk_sorter"):
        parse_index_schema(request)
    request = create(SDK_META)
    request.schema.index_setting.enable_custom_column_version = True
    with pytest.raises(ParameterInvalid, match="enable_custom_column_version"):
        parse_index_schema(request)


DESCRIPTION = IndexDescription(
    table="t",
    name="i",
    schema=SCHEMA,
    created_us=5,
    phase=SyncPhase.INCR,
    synced_us=1_700_000_000_000_000,
    rows=9,
    unindexed_values=0,
)


def test_describe_as_the_sdk_reads_it() -> None:
    message = describe_index_message(DESCRIPTION, with_sync_stat=True)
    assert message.index_status.status == wire.INDEX_STATUS_RUNNING
    (meta, sync_stat), _ = DECODER.decode_response("DescribeSearchIndex", message.SerializeToString(), "id")
    assert sync_stat.sync_phase == ots.SyncPhase.INCR
    assert sync_stat.current_sync_timestamp == 1_700_000_000_000_000_000
    assert meta.time_to_live == 1_000_000
    assert meta.index_setting.routing_fields == ["a"]
    # What the SDK read makes the same index again.
    assert parse_index_schema(create(meta)) == SCHEMA


def test_how_rows_are_routed_is_told_as_it_was_said() -> None:
    request = create(SDK_META)
    assert parse_index_schema(request).routing_partition_size is None
    request.schema.index_setting.routing_partition_size = 3
    schema = parse_index_schema(request)
    message = describe_index_message(replace(DESCRIPTION, schema=schema), with_sync_stat=False)
    assert message.schema.index_setting == request.schema.index_setting


def test_an_index_without_a_sort_is_sorted_by_key() -> None:
    plain = IndexDescription("t", "i", IndexSchema(SCHEMA.fields), 5, SyncPhase.FULL, 0, 0, 0)
    message = describe_index_message(plain, with_sync_stat=False)
    assert not message.HasField("sync_stat")
    (meta, sync_stat), _ = DECODER.decode_response("DescribeSearchIndex", message.SerializeToString(), "id")
    assert sync_stat is None
    assert [type(sorter) for sorter in meta.index_sort.sorters] == [ots.PrimaryKeySort]
