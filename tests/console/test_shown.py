"""Numbers, sizes and times as people read them."""

from __future__ import annotations

import pytest

from lutra.console import shown


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1_234_567, "1,234,567"), (0.123456, "0.1235"), (12_345.678, "12,345.7")]
)
def test_numbers(value: float, text: str) -> None:
    assert shown.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KB"), (250 * 1_048_576, "250 MB"), (2**60, "1024 PB")],
)
def test_sizes(value: int, text: str) -> None:
    assert shown.size(value) == text


def test_times() -> None:
    assert shown.moment(1_700_000_000_000_000) == "2023-11-14 22:13:20 UTC"
    assert shown.moment(2**62) == str(2**62), "beyond what calendars have"
    assert shown.ago(0, "en", 59.0) == "59 s ago"
    assert shown.ago(0, "zh", 7_300.0) == "2 h 前".replace(" h ", " 小时")
    assert shown.ago(0, "en", 0.5) == "now"
