"""What of a column's values is a point."""

from __future__ import annotations

import pytest
from support.geo_model import FIELD

from lutra.geo.values import points_of
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.values import Value

ONE = FieldSchema("at", FieldType.GEO_POINT)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("30.1,120.2", (30.1, 120.2)),
        ("30.1, 120.2", (30.1, 120.2)),
        (" 30.1 ,\t120.2\n", (30.1, 120.2)),
        ("+30.1,-0", (30.1, 0.0)),
        ("-90,180", (-90.0, 180.0)),
        ("90,-180.0", (90.0, -180.0)),
        ("1e1,2.5E-3", (10.0, 0.0025)),
        ("0.1,0.30000000000000004", (0.1, 0.30000000000000004)),
    ],
)
def test_a_point_is_two_numbers(text: str, point: tuple[float, float]) -> None:
    assert points_of(ONE, text) == [point]
    assert points_of(FIELD, f'["{text.strip().replace(chr(9), "")}", null, "1,2"]') == [point, (1.0, 2.0)]


@pytest.mark.parametrize(
    "value",
    [
        *["", ",", "1", "1,", ",1", "1,2,3", "1 2", "1,2 x", "[1,2]", "1," + "0" * 2000],
        *["90.0000001,0", "0,180.0000001", "-91,0", "nan,0", "0,inf", "1e400,0"],
        *["0x1,2", "1_0,2", "１,2", "\ud800,1", "++1,2", "+-1,2"],
        *[1, 1.5, True, b"1,2"],
    ],
)
def test_what_is_no_point(value: Value) -> None:
    assert points_of(ONE, value) is None


def test_an_array_is_json_of_points() -> None:
    assert points_of(FIELD, "[]") == []
    assert points_of(FIELD, '["1,2", "3, 4"]') == [(1.0, 2.0), (3.0, 4.0)]
    assert points_of(FIELD, '["1,2"]' + " " * 10) == [(1.0, 2.0)]
    for value in ("1,2", '["1,2", 3]', '["1,2", "x"]', '{"a": 1}', "[[1,2]]", '["1,2"', "[" * 100_000):
        assert points_of(FIELD, value) is None
    many = ", ".join(['"1,2"'] * 256)
    assert len(points_of(FIELD, f"[{many}]") or []) == 256
    assert points_of(FIELD, f'[{many}, "1,2"]') is None
