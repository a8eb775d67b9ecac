"""Our codec against the official SDK's own pure-Python one, both ways."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tablestore.metadata import INF_MAX as SDK_INF_MAX
from tablestore.metadata import INF_MIN as SDK_INF_MIN
from tablestore.metadata import PK_AUTO_INCR as SDK_AUTO_INCREMENT
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.plainbuffer.plain_buffer_coded_stream import (
    PlainBufferCodedInputStream,
    PlainBufferCodedOutputStream,
)
from tablestore.plainbuffer.plain_buffer_crc8 import PlainBufferCrc8
from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream, PlainBufferOutputStream

from lutra.kernels import plainbuffer
from lutra.model.rows import CellOperation
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, INT64_MAX, INT64_MIN, KeyMarker

int64s = st.integers(INT64_MIN, INT64_MAX)
names = st.text("abcXYZ019_", min_size=1, max_size=12)
key_values = int64s | st.text(max_size=40) | st.binary(max_size=40)
values = key_values | st.floats(allow_nan=False) | st.booleans()
markers = st.sampled_from([INF_MIN, INF_MAX, AUTO_INCREMENT])
timestamps = st.none() | st.integers(0, 2**62)
keys = st.lists(st.tuples(names, key_values), min_size=1, max_size=4).map(tuple)
cells = st.lists(st.tuples(names, values, timestamps), max_size=12)

SDK_MARKERS = {INF_MIN: SDK_INF_MIN, INF_MAX: SDK_INF_MAX, AUTO_INCREMENT: SDK_AUTO_INCREMENT}
SDK_UPDATES = {
    CellOperation.PUT: "PUT",
    CellOperation.DELETE_ALL: "DELETE_ALL",
    CellOperation.DELETE_ONE: "DELETE",
    CellOperation.INCREMENT: "INCREMENT",
}


def to_sdk(value: Any) -> Any:
    """The SDK's BINARY is a bytearray; its bytes are a STRING."""
    if isinstance(value, KeyMarker):
        return SDK_MARKERS[value]
    return bytearray(value) if isinstance(value, bytes) else value


def same(ours: Any, sdk: Any) -> bool:
    return type(to_sdk(ours)) is type(sdk) and bool(to_sdk(ours) == sdk)


def sdk_key(key: Any) -> list[tuple[str, Any]]:
    return [(name, to_sdk(value)) for name, value in key]


@given(keys, cells)
def test_rows_of_the_sdk_are_read_and_written_alike(key: Any, cells: Any) -> None:
    sent = bytes(PlainBufferBuilder.serialize_for_put_row(sdk_key(key), [(n, to_sdk(v), t) for n, v, t in cells]))
    assert plainbuffer.decode_row(sent) == (key, [(*cell, CellOperation.PUT) for cell in cells], False)
    assert plainbuffer.encode_row(key, cells) == sent


@given(st.lists(st.tuples(keys, cells), max_size=4))
def test_the_sdk_reads_our_rows(rows: Any) -> None:
    data = plainbuffer.encode_rows(rows)
    read = PlainBufferCodedInputStream(PlainBufferInputStream(data)).read_rows() if data else []
    assert len(read) == len(rows)
    for (key, cells), row in zip(rows, read, strict=True):
        assert [name for name, _ in row.primary_key] == [name for name, _ in key]
        assert all(same(ours[1], theirs[1]) for ours, theirs in zip(key, row.primary_key, strict=True))
        assert [(name, stamp) for name, _, stamp in row.attribute_columns] == [(n, t) for n, _, t in cells]
        assert all(same(ours[1], theirs[1]) for ours, theirs in zip(cells, row.attribute_columns, strict=True))


@given(st.lists(st.tuples(names, key_values | markers), min_size=1, max_size=4).map(tuple))
def test_range_bounds_of_the_sdk(key: Any) -> None:
    sent = bytes(PlainBufferBuilder.serialize_primary_key(sdk_key(key)))
    assert plainbuffer.decode_row(sent) == (key, [], False)
    assert plainbuffer.encode_key(key) == sent


def sdk_update(key: Any, updates: Any) -> bytes:
    """As PlainBufferBuilder.serialize_for_update_row, whose estimate of the size forgets timestamps."""
    stream = PlainBufferOutputStream(1 << 20)
    coded = PlainBufferCodedOutputStream(stream)
    coded.write_header()
    checksum = coded.write_update_columns(updates, coded.write_primary_key(key, 0))
    coded.write_row_checksum(PlainBufferCrc8.crc_int8(checksum, 0))
    return bytes(stream.get_buffer())


@given(keys, st.dictionaries(st.sampled_from(list(SDK_UPDATES)), st.lists(st.tuples(names, int64s, timestamps))))
def test_updates_of_the_sdk(key: Any, updates: Any) -> None:
    changes = []
    sdk_updates: dict[str, list[Any]] = {}
    for op, columns in updates.items():
        sdk_updates[SDK_UPDATES[op]] = sdk_columns = []
        for name, value, timestamp in columns:
            written = None if op in (CellOperation.DELETE_ALL, CellOperation.DELETE_ONE) else value
            changes.append((name, written, timestamp, op))
            sdk_columns.append((name, written, timestamp))
    sent = sdk_update(sdk_key(key), sdk_updates)
    if not changes:  # the SDK may write ROW_DATA with nothing in it
        assert plainbuffer.decode_row(sent) == (key, [], False)
        return
    assert plainbuffer.decode_row(sent) == (key, changes, False)
    assert plainbuffer.encode_change(key, changes, False) == sent


@given(keys)
def test_deletes_of_the_sdk(key: Any) -> None:
    sent = bytes(PlainBufferBuilder.serialize_for_delete_row(sdk_key(key)))
    assert plainbuffer.decode_row(sent) == (key, [], True)
    assert plainbuffer.encode_change(key, [], True) == sent


@given(values)
def test_filter_values_of_the_sdk(value: Any) -> None:
    sent = bytes(PlainBufferBuilder.serialize_column_value(to_sdk(value)))
    decoded: Any = plainbuffer.decode_variant(sent)
    assert decoded == value
    assert type(decoded) is type(value)
    assert plainbuffer.encode_variant(value) == sent


@given(st.lists(st.tuples(st.text(max_size=80), values, int64s)))
def test_stored_cells_come_back(cells: Any) -> None:
    assert plainbuffer.decode_cells(plainbuffer.encode_cells(cells)) == cells
