"""Of each kind of field: what is stored in it, what it is asked for, and what does not belong there."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from lutra.model.indexes import FieldType

DIMENSION = 2
WORDS = ["the", "The", "quick", "fox", "foxes", "梨花茶", "花茶", "梨花", "茶", "清华大学", "é", "x1"]
DATES = {
    ("epoch_millis",): [-2, -1, 0, 1, 2, 3],
    (): [0, 1, 1_711_846_800_000, -1],
    ("epoch_second", "yyyy-MM-dd HH:mm:ss"): [0, 3, 1_711_846_800, "2024-03-31 01:00:00", "1969-12-31 23:59:59"],
    ("yyyy-MM-dd'T'HH:mm:ssXXX",): ["2024-03-31T01:59:59+01:00", "2024-03-31T03:00:00+02:00", "1970-01-01T00:00:00Z"],
}
"""Values by formats."""
OBJECTS: list[Any] = [
    {},
    {"a": "x", "b": 1},
    {"a": {"b": ["x", "y", None], "c": 1.50}, "d": True},
    {"a": [{"b": "x"}, {"b": "z"}], "e": ""},
]
"""Of FLATTENED fields."""
LEAVES = ["x", "y", "z", "1", "1.5", "true", "", "no"]
PATHS = ["a", "a.b", "b", "a.c", "d", "e", "none"]
ELEMENTS: dict[FieldType, list[Any]] = {
    FieldType.LONG: [-2, -1, 0, 1, 2, 3, 2**63 - 1, -(2**63)],
    FieldType.DOUBLE: [-1.5, 0.0, -0.0, 0.5, 2.0, 2.0**53, math.inf, -math.inf, math.nan],
    FieldType.BOOLEAN: [False, True],
    FieldType.KEYWORD: ["", "a", "ab", "b", "é", "x" * 70, "x" * 70 + "y", "a\0", "1", "true", "茶"],
    FieldType.FUZZY_KEYWORD: ["", "a", "ab", "b", "é", "the quick fox", "x" * 70, "a\0", "梨花茶", "花茶"],
    FieldType.IP: ["10.0.0.1", "10.1.2.3", "192.168.0.255", "::ffff:10.0.0.1", "::1", "2001:db8::1", "2001:DB8:0:0::1"],
    FieldType.FLATTENED: OBJECTS,
    FieldType.GEO_POINT: [
        "0,0",
        "52.5,13.4",
        "52.5, 13.5",
        "0,180",
        "0,-180",
        "90,7",
        "-90,-7",
        "-33.9,179.9",
        "1,-179.5",
    ],
}
OPERANDS: dict[FieldType, list[Any]] = {
    FieldType.LONG: [-2, -1, 0, 1, 2, 3, 0.5, -0.5, 1.0, "1", "1.5", 2**63, 2**63 - 1, -math.inf],
    FieldType.DOUBLE: [-1.5, 0.0, 0.5, 2.0, 2.0**53, math.inf, 2**53 + 1, 2**53, 0, "0.5", -0.0, 10**400],
    FieldType.BOOLEAN: [False, True, "true"],
    FieldType.KEYWORD: [*ELEMENTS[FieldType.KEYWORD], 1, True],
    FieldType.TEXT: [word.lower() for word in WORDS],
    FieldType.FUZZY_KEYWORD: [*ELEMENTS[FieldType.FUZZY_KEYWORD], 1],
    FieldType.IP: [*ELEMENTS[FieldType.IP], "10.0.0.0", "::"],
    FieldType.FLATTENED: LEAVES,
}
"""Beside and between the elements, as other types and as text."""
DATE_OPERANDS = [0.5, 1, 0, "1", 10**30, dt.datetime(1970, 1, 1, 0, 0, 0, 1_500, dt.UTC)]
"""Of fields that read integers."""
MOMENTS = [
    dt.datetime(2024, 3, 31, 1, tzinfo=dt.UTC),
    dt.datetime(2024, 3, 31, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
]
MISFITS: list[Any] = [True, 7, 0.25, "text", b"ab", "", "[1, {}]", "[", "[[1]]", '["a", 1]', "[1e999]", "[NaN]", "{}"]
"""Of most fields: some hold some of them, which the model knows."""
JSON_MISFITS: list[Any] = [True, 7, 0.25, "text", [], [1], [{}], {}, None]
"""Of fields of objects."""
NETWORKS = ["10.0.0.0/8", "10.0.0.1/32", "0.0.0.0/0", "::/0", "2001:db8::/32", "::ffff:0:0/96"]
PLACES = [(0.0, 0.0), (52.5, 13.4), (0.0, 180.0), (0.0, -179.9), (90.0, 0.0), (-90.0, 0.0), (-33.9, 179.9)]
"""Latitude and longitude."""
RINGS = [
    [(50.0, 10.0), (50.0, 20.0), (55.0, 13.4)],
    [(-40.0, 170.0), (-40.0, -170.0), (5.0, -170.0), (5.0, 170.0)],
    [(80.0, 0.0), (80.0, 120.0), (80.0, -120.0)],
    [(0.0, 0.0), (0.0, 40.0), (60.0, 40.0), (30.0, 20.0), (60.0, 0.0)],
]
"""Of polygons: one crosses the date line, one goes round a pole."""
PREFIXES = ["", "a", "x" * 65, "x" * 71, "é", "a\0", "f", "梨", "zz"]
SUFFIXES = ["", "b", "x" * 5 + "y", "é", "\0", "x", "茶", "zz"]
PATTERNS = ["", "*", "?", "a*", "*b", "x*y", "?*", "a?", "é", "qu*", "*x*", "*茶", "f?x", "花茶"]


def date_operands(formats: tuple[str, ...]) -> list[Any]:
    """Of a DATE field of these formats."""
    reads_integers = not formats or any(name.startswith("epoch") for name in formats)
    texts = [value for value in DATES[formats] if isinstance(value, str)]
    return [*MOMENTS, *texts, *(DATE_OPERANDS if reads_integers else [])]
