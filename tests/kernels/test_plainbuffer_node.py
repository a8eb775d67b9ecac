"""Rows as the official Node SDK 5.6.5 sends them, captured from its own PlainBufferBuilder.

It reckons the size of a row first and sends all of that, so what it reckoned too much are zeros behind the row.
"""

from __future__ import annotations

from typing import Any

import pytest

from lutra.kernels import plainbuffer
from lutra.model.rows import CellOperation
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN

PUT, DELETE_ALL, DELETE_ONE, INCREMENT = CellOperation
TIME_MS = 1_700_000_000_123
KEY = (("pk", "otter"), ("n", 5))
PARTITION = "0304 02000000 706b 05 0a000000 03 05000000 6f74746572 0a6f"
KEY_HEX = f"75000000 01 {PARTITION} 0304 01000000 6e 05 09000000 00 0500000000000000 0a04"

# What it was asked for, its bytes up to the checksum of the row, the zeros behind, and what that says.
CAPTURED: list[tuple[str, str, int, Any]] = [
    (
        "a range from INF_MIN and INF_MAX",
        "75000000 01 0304 02000000 706b 05 01000000 09 0a3a 0304 01000000 6e 05 01000000 0a 0a15 0970",
        2,
        ((("pk", INF_MIN), ("n", INF_MAX)), [], False),
    ),
    (
        "putRow with PK_AUTO_INCR",
        f"75000000 01 {PARTITION} 0304 01000000 6e 05 01000000 0b 0a12"
        " 02 0304 01000000 63 05 06000000 03 01000000 78 0af4 09b3",
        1,
        ((("pk", "otter"), ("n", AUTO_INCREMENT)), [("c", "x", None, PUT)], False),
    ),
    (
        "putRow with every type, and a timestamp",
        f"{KEY_HEX} 02 0304 01000000 63 05 06000000 03 01000000 78 0af4"
        " 0304 01000000 64 05 09000000 00 0700000000000000 0abb"
        " 0304 01000000 65 05 09000000 01 000000000000f83f 0ad2"
        " 0304 01000000 66 05 02000000 02 01 0a95"
        " 0304 01000000 67 05 07000000 07 02000000 6162 0a43"
        " 0304 01000000 68 05 06000000 03 01000000 79 07 7b68e5cf8b010000 0ad1 0962",
        0,
        (
            KEY,
            [
                ("c", "x", None, PUT),
                ("d", 7, None, PUT),
                ("e", 1.5, None, PUT),
                ("f", True, None, PUT),
                ("g", b"ab", None, PUT),
                ("h", "y", TIME_MS, PUT),
            ],
            False,
        ),
    ),
    (
        "updateRow with PUT, DELETE_ALL and INCREMENT",
        f"{KEY_HEX} 02 0304 01000000 63 05 06000000 03 01000000 78 0af4"
        " 0304 01000000 64 05 09000000 00 0700000000000000 0abb"
        " 0304 01000000 65 06 01 0ab3"
        " 0304 01000000 66 05 09000000 00 0100000000000000 06 04 0a1b 09ba",
        0,
        (
            KEY,
            [
                ("c", "x", None, PUT),
                ("d", 7, None, PUT),
                ("e", None, None, DELETE_ALL),
                ("f", 1, None, INCREMENT),
            ],
            False,
        ),
    ),
    (
        "updateRow with DELETE of one version",
        f"{KEY_HEX} 02 0304 01000000 63 06 03 07 7b68e5cf8b010000 0ad6 09e8",
        5,
        (KEY, [("c", None, TIME_MS, DELETE_ONE)], False),
    ),
    (
        "updateRow with PUT and a timestamp",
        f"{KEY_HEX} 02 0304 01000000 63 05 06000000 03 01000000 78 07 7b68e5cf8b010000 0ac3 09fe",
        22,
        (KEY, [("c", "x", TIME_MS, PUT)], False),
    ),
    (
        "updateRow with two timestamps and the DELETE of a version",
        f"{KEY_HEX} 02 0304 01000000 63 05 06000000 03 01000000 78 07 7b68e5cf8b010000 0ac3"
        " 0304 01000000 64 05 09000000 00 0700000000000000 07 7b68e5cf8b010000 0afe"
        " 0304 01000000 63 06 03 07 7c68e5cf8b010000 0abe 091b",
        49,
        (KEY, [("c", "x", TIME_MS, PUT), ("d", 7, TIME_MS, PUT), ("c", None, TIME_MS + 1, DELETE_ONE)], False),
    ),
    ("deleteRow", f"{KEY_HEX} 08 09d1", 0, (KEY, [], True)),
    ("putRow without columns", f"{KEY_HEX} 09d6", 0, (KEY, [], False)),
]


@pytest.mark.parametrize(("row", "padding", "expected"), [pytest.param(*c[1:], id=c[0]) for c in CAPTURED])
def test_rows_of_the_node_sdk(row: str, padding: int, expected: Any) -> None:
    assert plainbuffer.decode_row(bytes.fromhex(row) + bytes(padding)) == expected
    assert plainbuffer.encode_change(*expected) == bytes.fromhex(row)


@pytest.mark.parametrize(
    ("variant", "value"),
    [
        ("03 01000000 78", "x"),
        ("00 0700000000000000", 7),
        ("01 000000000000f83f", 1.5),
        ("02 01", True),
        ("07 02000000 6162", b"ab"),
    ],
)
def test_values_of_filters_of_the_node_sdk(variant: str, value: object) -> None:
    assert plainbuffer.decode_variant(bytes.fromhex(variant)) == value
