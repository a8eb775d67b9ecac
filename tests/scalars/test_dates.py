"""Date formats against datetime and the documentation's examples."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model.errors import ParameterInvalid
from lutra.scalars.dates import DateFormats

UTC = datetime.UTC


def ns(*parts: int, fraction_ns: int = 0) -> int:
    moment = datetime.datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
    return int(moment.timestamp()) * 10**9 + fraction_ns


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("yyyy-MM-dd HH:mm:ss", "2008-08-08 12:15:20", ns(2008, 8, 8, 12, 15, 20)),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2008-08-08 12:15:20.123", ns(2008, 8, 8, 12, 15, 20, fraction_ns=123_000_000)),
        ("yyyyMMdd HHmmss", "20080808 121520", ns(2008, 8, 8, 12, 15, 20)),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2008-08-08T12:15:20.123Z", ns(2008, 8, 8, 12, 15, 20, fraction_ns=123_000_000)),
        ("yyyy-MM-dd'T'HH:mm:ssX", "2008-08-08T20:15:20+08", ns(2008, 8, 8, 12, 15, 20)),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2008-08-08T20:15:20.000+0800", ns(2008, 8, 8, 12, 15, 20)),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "2008-08-08T10:45:20-01:30", ns(2008, 8, 8, 12, 15, 20)),
        ("yyyy-MM-dd'T'HH:mm:ssxxxxx", "2008-08-08T13:45:50+01:30:30", ns(2008, 8, 8, 12, 15, 20)),
        ("yyyy-MM-dd HH:mm:ss.SSSSSSSSS", "1970-01-01 00:00:00.000000001", 1),
        ("yyyy-MM-dd KK:mm a", "2008-08-08 00:15 PM", ns(2008, 8, 8, 12, 15)),
        ("yyyy-MM-dd hh:mm a", "2008-08-08 12:15 am", ns(2008, 8, 8, 0, 15)),
        ("yy-M-d H:m:s", "08-8-8 1:2:3", ns(2008, 8, 8, 1, 2, 3)),
        ("yyyy-MM", "2008-08", ns(2008, 8, 1)),
        ("'at ''noon'' 'yyyy", "at 'noon' 2008", ns(2008, 1, 1)),
        ("yyyy''MM", "2008'08", ns(2008, 8, 1)),
        ("yyyy-MM-dd HH:mm:ss.SSSSSSSSS", "2262-04-11 23:47:16.854775807", 2**63 - 1),
    ],
)
def test_reads(pattern: str, text: str, expected: int) -> None:
    assert DateFormats((pattern,)).to_ns(text) == expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd", "2008-02-30"),
        ("yyyy-MM-dd", "2008-8-8"),
        ("yyyy-MM-dd", "0000-01-01"),
        ("yyyy-MM-dd", "2008-08-08 "),
        ("yyyy-MM-dd", "2262-04-12"),
        ("yyyy-MM-dd", "٢٠٠٨-08-08"),
        ("yyyy-MM-dd HH", "2008-08-08 24"),
        ("yyyy-MM-dd HH:mm", "2008-08-08 23:60"),
        ("yyyy-MM-dd KK a", "2008-08-08 12 AM"),
        ("yyyy-MM-dd hh a", "2008-08-08 00 AM"),
        ("yyyy-MM-dd HH:mm:ssXX", "2008-08-08 00:00:00+1900"),
        ("yyyy-MM-dd HH:mm:ssXX", "2008-08-08 00:00:00+0160"),
    ],
)
def test_leaves_out(pattern: str, text: str) -> None:
    assert DateFormats((pattern,)).to_ns(text) is None


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "1 to 128"),
        ("yyyy-MMM-dd", "MMM"),
        ("yyyy-MM-dd'T", "quote"),
        ("yyyy-MM-dd yyyy", "twice"),
        ("yyyy yy", "twice"),
        ("HH:mm:ss", "year"),
        ("yyyy-dd", "needs month"),
        ("yyyy-MM-dd KK", "needs half"),
        ("yyyy-MM-dd HH a", "goes with K"),
        ("yyyy-MM-dd HH:ss", "needs minute"),
        ("yyyy-MM-dd HH:mm:ss.SSSSSSSSSS", "not supported"),
        ("epoch_minutes", "not supported"),
    ],
)
def test_refuses(pattern: str, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        DateFormats((pattern,))


@pytest.mark.parametrize(
    ("name", "unit_ns"), [("epoch_second", 10**9), ("epoch_millis", 10**6), ("epoch_micros", 10**3), ("epoch_nanos", 1)]
)
def test_epochs(name: str, unit_ns: int) -> None:
    formats = DateFormats((name,))
    assert formats.to_ns(1_218_197) == 1_218_197 * unit_ns
    assert formats.to_ns(-1) == -unit_ns
    assert formats.to_ns((2**63) // unit_ns + 1) is None
    assert formats.to_ns(True) is None
    assert formats.to_ns("5") is None


def test_default_and_several() -> None:
    assert DateFormats(()).to_ns(5) == 5_000_000
    both = DateFormats(("yyyy-MM-dd", "epoch_second", "yyyyMMdd"))
    assert both.to_ns(5) == 5 * 10**9
    assert both.to_ns("1970-01-02") == both.to_ns("19700102") == 86_400 * 10**9
    assert DateFormats(("yyyy-MM-dd",)).to_ns(5) is None


@given(
    st.datetimes(datetime.datetime(1678, 1, 1), datetime.datetime(2262, 1, 1)),
    st.integers(-18 * 60, 18 * 60).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m))),
)
def test_agrees_with_datetime(moment: datetime.datetime, zone: datetime.timezone) -> None:
    aware = moment.replace(tzinfo=zone)
    text = aware.strftime("%Y-%m-%dT%H:%M:%S.%f%z")
    expected = (aware - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(microseconds=1) * 1_000
    assert DateFormats(("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXX",)).to_ns(text) == expected
