"""The columns and keys of the golden stream: some of each type, with arrays and without, complete and with gaps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from lutra.model.indexes import FieldSchema, FieldType
from lutra.scalars.column import ScalarColumn, ScalarView
from lutra.scalars.pages import Pages, PageWriter
from lutra.scalars.segment_column import write_column
from lutra.scalars.segment_keys import write_keys

GOLDEN_SIZE = 600
DENSE_SIZE = 24_000
"""Of a column with runs so long that they are put together of bitmaps."""
_WORDS = ["", "a", "ab", "a\0", "é", "z\u07ff", "\U0001f9a6", "\U0010ffff", *(f"word-{i:03}" for i in range(300))]
_DOUBLES = [0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, 5e-324, 1.7976931348623157e308]

_VALUES: dict[str, tuple[FieldType, Callable[[int], Any]]] = {
    "long": (FieldType.LONG, lambda i: i * 7_919 % 1_009 - 500),
    "wide": (FieldType.LONG, lambda i: (i * 0x9E3779B97F4A7C15 % 2**64) - 2**63),
    "double": (FieldType.DOUBLE, lambda i: _DOUBLES[i % 11] if i % 11 < 8 else i / 7),
    "boolean": (FieldType.BOOLEAN, lambda i: i % 3 == 0),
    "date": (FieldType.DATE, lambda i: 1_790_000_000_000_000_000 + i * i % 977 * 1_000_000_000),
    "keyword": (FieldType.KEYWORD, lambda i: _WORDS[i * 31 % len(_WORDS)]),
}


def golden_columns() -> dict[str, ScalarView]:
    """In memory, by name, `GOLDEN_SIZE` documents: each of `_VALUES` for all, with gaps, and as arrays of 0 to 3."""
    columns = {}
    for name, (kind, value) in _VALUES.items():
        formats = ("epoch_nanos",) if kind is FieldType.DATE else ()
        for form in ("all", "some", "arrays"):
            field = FieldSchema(f"{name}-{form}", kind, is_array=form == "arrays", date_formats=formats)
            column = ScalarColumn(field)
            for doc in range(GOLDEN_SIZE):
                if form == "arrays":
                    stage_elements(column, doc, [value(doc + i) for i in range(doc % 4)])
                elif form == "all" or doc % 5:
                    assert column.stage(doc, value(doc))
            column.settle()
            column.publish()
            columns[field.name] = column.view(GOLDEN_SIZE)
    return columns


def stage_elements(column: ScalarColumn, doc: int, elements: list[Any]) -> None:
    """Stages an array; also one with infinities, which a column once took from JSON and segments still may hold."""
    if any(isinstance(element, float) and math.isinf(element) for element in elements):
        column._staged_docs += [doc] * len(elements)
        column._staged_values += [element + 0.0 for element in elements]
    else:
        assert column.stage(doc, json.dumps(elements))


def golden_dense() -> ScalarView:
    """In memory: a column of `DENSE_SIZE` documents."""
    column = ScalarColumn(FieldSchema("dense", FieldType.LONG))
    for doc in range(DENSE_SIZE):
        assert column.stage(doc, doc * doc % 7)
    column.settle()
    column.publish()
    return column.view(DENSE_SIZE)


def golden_keys() -> list[bytes]:
    return sorted(b"user-%04d\0\0" % (i // 3) + (2**63 + i % 3).to_bytes(8, "big") * (1 + i % 2) for i in range(1_000))


KINDS_SIZE = 200
_KINDS: dict[str, tuple[FieldType, Callable[[int], Any]]] = {
    "fuzzy": (FieldType.FUZZY_KEYWORD, lambda i: f"/srv/{i * 7 % 50:02}/é{i % 11}.log"),
    "ip": (FieldType.IP, lambda i: f"10.0.{i % 9}.{i % 5}" if i % 3 else f"2001:db8::{i % 7:x}"),
    "flattened": (FieldType.FLATTENED, lambda i: json.dumps({"a": {"b": i % 7}, "c": [f"x{i % 3}", None, i % 2 == 0]})),
}


def golden_kinds() -> dict[str, ScalarView]:
    """In memory, by name, `KINDS_SIZE` documents of kinds whose strings are made, or listed by bytes."""
    columns = {}
    for name, (kind, value) in _KINDS.items():
        column = ScalarColumn(FieldSchema(name, kind))
        for doc in range(KINDS_SIZE):
            assert not doc % 5 or column.stage(doc, value(doc))
        column.settle()
        column.publish()
        columns[name] = column.view(KINDS_SIZE)
    return columns


def golden_kinds_stream() -> tuple[bytes, dict[str, Any]]:
    """The pages of `golden_kinds`, and their metas by name."""
    data = bytearray()

    def append(pages: Pages) -> None:
        data.extend(pages.tobytes())

    writer = PageWriter(append)
    metas = {
        name: write_column(writer, view.field, KINDS_SIZE, view.elements()) for name, view in golden_kinds().items()
    }
    writer.finish()
    return bytes(data), metas


def golden_stream() -> tuple[bytes, dict[str, Any]]:
    """The pages of all columns and then the keys, and their metas by name."""
    data = bytearray()

    def append(pages: Pages) -> None:
        data.extend(pages.tobytes())

    writer = PageWriter(append)
    metas = {
        name: write_column(writer, view.field, GOLDEN_SIZE, view.elements()) for name, view in golden_columns().items()
    }
    dense = golden_dense()
    metas["dense"] = write_column(writer, dense.field, DENSE_SIZE, dense.elements())
    metas["keys"] = write_keys(writer, golden_keys())
    writer.finish()
    return bytes(data), metas
