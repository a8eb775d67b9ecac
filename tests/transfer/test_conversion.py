"""Values of files as fields take them, and what is said of those that no field takes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

import lutra
from lutra.instance.field import Field
from lutra.transfer.conversion import conversion_to

JUNE = dt.datetime(2021, 6, 7, 8, 9, 10, tzinfo=dt.UTC)


def converted(declaration: Any, value: Any, unit: str | None = None) -> Any:
    return conversion_to(Field.declared("x", declaration), unit)(value)


@pytest.mark.parametrize(
    ("declaration", "value", "expected"),
    [
        (int, "-7", -7),
        (int, " +7 ", 7),
        (int, "007", 7),
        (int, "5.0", 5),
        (int, "1e3", 1000),
        (int, 5, 5),
        (float, "1.5e-3", 0.0015),
        (float, "7", 7.0),
        (bool, "Yes", True),
        (bool, "0", False),
        (bool, 1, True),
        (str, 5, "5"),
        (str, 1.5, "1.5"),
        (str, True, "true"),
        (str, "x", "x"),
        (lutra.Stored(str), [1, {"a": "é"}], '[1, {"a": "é"}]'),
        (lutra.Stored(str), [dt.date(2020, 1, 2)], '["2020-01-02"]'),
        (lutra.Stored(str), np.array([1.5]), "[1.5]"),
        (bytes, "AAE=", b"\x00\x01"),
        (bytes, b"\x00", b"\x00"),
        (dt.datetime, "2021-06-07T08:09:10Z", JUNE),
        (dt.datetime, "2021-06-07 10:09:10+02:00", JUNE),
        (dt.datetime, "2021-06-07 08:09:10", JUNE),
        (dt.datetime, "2021-06-07", JUNE.replace(hour=0, minute=0, second=0)),
        (dt.datetime, JUNE.replace(tzinfo=None), JUNE),
        (lutra.GeoPoint, "52.5, -13", lutra.GeoPoint(52.5, -13.0)),
        (lutra.GeoPoint, '{"lat": 1, "lng": "2.5"}', lutra.GeoPoint(1, 2.5)),
        (lutra.GeoPoint, {"latitude": 1, "longitude": 2}, lutra.GeoPoint(1, 2)),
        (lutra.Vector(2), "[1, 2.5]", [1, 2.5]),
        (lutra.Vector(2), "1 2.5", [1.0, 2.5]),
        (lutra.Vector(2), "1; 2.5", [1.0, 2.5]),
        (list[int], "[1, 2]", [1, 2]),
        (list[dt.datetime], ["2021-06-07T08:09:10Z"], [JUNE]),
        (lutra.Object({"at": dt.datetime}), '{"at": "2021-06-07T08:09:10Z", "gap": null}', {"at": JUNE}),
        (lutra.Nested({"n": int}), {"n": "5"}, [{"n": 5}]),
    ],
)
def test_what_is_taken(declaration: Any, value: Any, expected: Any) -> None:
    found = converted(declaration, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("unit", "value"),
    [("s", 1_623_053_350), ("ms", 1_623_053_350_000), ("us", "1623053350000000"), ("s", "1623053350")],
)
def test_numbers_that_are_dates(unit: str, value: Any) -> None:
    assert converted(dt.datetime, value, unit) == JUNE


@pytest.mark.parametrize(
    ("declaration", "value", "complaint"),
    [
        (int, "5.5", "'5.5' is no whole number"),
        (int, "x", "'x' is no number"),
        (int, "9" * 5_000, "does not fit 64 bits"),
        (int, "1e300", "is no whole number"),
        (float, "nan", "'nan' is no number"),
        (float, "1,5", "'1,5' is no number"),
        (bool, "2", "'2' is neither true nor false"),
        (bytes, "?", "'?' is not base64"),
        (bytes, "é", "is not base64"),
        (dt.datetime, "7.6.2021", "'7.6.2021' is no date as ISO 8601 writes it"),
        (dt.datetime, "2021-06-07T08:09:10.1234567Z", "to the microsecond at most"),
        (lutra.GeoPoint, "here", "'here' is no place: latitude,longitude"),
        (lutra.GeoPoint, {"lat": 1}, "a place has lat and lon"),
        (lutra.Vector(2), "[1, 2", "is not JSON"),
        (lutra.Vector(2), "[" * 100_000, "is not JSON"),
        (list[int], "5", "expected a list, got int"),
        (list[int], {"a": 1}, "expected a list, got dict"),
        (lutra.Object({"a": int}), "{", "is not JSON"),
    ],
)
def test_what_is_not(declaration: Any, value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.replace("?", r"\?")):
        converted(declaration, value)


def test_numbers_that_are_no_dates() -> None:
    with pytest.raises(ValueError, match="s since 1970 is no date"):
        converted(dt.datetime, 10**15, "s")
    assert converted(dt.datetime, 5) == 5  # of which the field says that it is none
