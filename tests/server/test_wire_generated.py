"""The checked-in messages are those the .proto files make, and live beside the official SDK's in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.server.wire import generate


def test_checked_in_code_is_what_the_protos_make(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    made = generate.generate(tmp_path)
    assert {path.name for path in made} == {
        path.name for pattern in ("*_pb2.py", "*_pb2.pyi") for path in generate.WIRE.glob(pattern)
    }
    for path in made:
        assert path.read_text() == (generate.WIRE / path.name).read_text(), path.name


def test_messages_share_a_process_with_the_sdk() -> None:
    from tablestore.protobuf import search_pb2, table_store_filter_pb2, table_store_pb2

    from lutra.server.wire import filter_pb2, index_pb2, query_pb2, row_pb2, table_pb2

    ours = row_pb2.GetRowRequest(table_name="t", primary_key=b"k", max_versions=2, columns_to_get=["a"])
    theirs = table_store_pb2.GetRowRequest.FromString(ours.SerializeToString())
    assert (theirs.table_name, theirs.max_versions, list(theirs.columns_to_get)) == ("t", 2, ["a"])
    assert {module.DESCRIPTOR.package for module in (filter_pb2, index_pb2, query_pb2, row_pb2, table_pb2)} == {
        "lutra.wire"
    }
    for sdk in (search_pb2, table_store_filter_pb2, table_store_pb2):
        assert sdk.DESCRIPTOR.package != "lutra.wire"


def test_field_numbers_and_types_are_the_sdks() -> None:
    """Every field we share a name with in a message of the same name has the SDK's number and kind."""
    from tablestore.protobuf import search_pb2, table_store_filter_pb2, table_store_pb2

    from lutra.server.wire import (
        aggregation_pb2,
        capacity_pb2,
        error_pb2,
        filter_pb2,
        index_pb2,
        query_pb2,
        row_pb2,
        secondary_pb2,
        stream_pb2,
        table_pb2,
    )

    theirs = {
        name: message
        for module in (search_pb2, table_store_filter_pb2, table_store_pb2)
        for name, message in module.DESCRIPTOR.message_types_by_name.items()
    }
    # PlainBuffer and unserved parts travel as bytes; three fields go by different names in different SDKs.
    as_bytes = {"nested_filter", "geo_distance_sort", "doc_sort", "collapse", "aggs", "group_bys"}
    as_bytes |= {"field_schemas"}
    compared = 0
    modules = (
        aggregation_pb2,
        capacity_pb2,
        error_pb2,
        filter_pb2,
        index_pb2,
        query_pb2,
        row_pb2,
        secondary_pb2,
        stream_pb2,
        table_pb2,
    )
    for module in modules:
        for name, message in module.DESCRIPTOR.message_types_by_name.items():
            for field in message.fields:
                other = theirs[name].fields_by_name.get(field.name) if name in theirs else None
                if other is None:
                    continue
                assert field.number == other.number, (name, field.name)
                if field.name not in as_bytes:
                    assert (field.type, field.label == field.LABEL_REPEATED) == (
                        other.type,
                        other.label == other.LABEL_REPEATED,
                    ), (name, field.name)
                compared += 1
    assert compared > 150


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        ("query_pb2.QueryType", "search_pb2.QueryType", "QUERY_TYPE_"),
        ("index_pb2.FieldType", "search_pb2.FieldType", "FIELD_TYPE_"),
        ("aggregation_pb2.AggregationType", "search_pb2.AggregationType", ""),
        ("aggregation_pb2.GroupByType", "search_pb2.GroupByType", ""),
        ("times_pb2.DateTimeUnit", "search_pb2.DateTimeUnit", "DATE_TIME_UNIT_"),
        ("query_pb2.QueryOperator", "search_pb2.QueryOperator", "QUERY_OPERATOR_"),
        ("query_pb2.HighlightEncoder", "search_pb2.HighlightEncoder", "HIGHLIGHT_ENCODER_"),
        ("query_pb2.HighlightFragmentOrder", "search_pb2.HighlightFragmentOrder", "HIGHLIGHT_FRAGMENT_ORDER_"),
        ("index_pb2.TextSimilarity", "search_pb2.TextSimilarity", "TEXT_SIMILARITY_"),
        ("query_pb2.ColumnReturnType", "search_pb2.ColumnReturnType", "COLUMN_RETURN_TYPE_"),
        ("table_pb2.DefinedColumnType", "table_store_pb2.DefinedColumnType", "DEFINED_COLUMN_TYPE_"),
        ("secondary_pb2.IndexType", "table_store_pb2.IndexType", ""),
        ("secondary_pb2.IndexUpdateMode", "table_store_pb2.IndexUpdateMode", ""),
        ("filter_pb2.ComparatorType", "table_store_filter_pb2.ComparatorType", "COMPARATOR_TYPE_"),
    ],
)
def test_enum_numbers_are_the_sdks(ours: str, theirs: str, prefix: str) -> None:
    from importlib import import_module

    def members(package: str, path: str) -> dict[str, int]:
        module, name = path.split(".")
        return dict(getattr(import_module(f"{package}.{module}"), name).items())

    mine = {name.removeprefix(prefix): number for name, number in members("lutra.server.wire", ours).items()}
    strip = ("_QUERY", "RETURN_", "DCT_", "CT_")
    for name, number in members("tablestore.protobuf", theirs).items():
        for affix in strip:
            name = name.removeprefix(affix).removesuffix(affix)
        assert mine[name] == number, name
