"""Numbers, sizes and times as pages show them."""

from __future__ import annotations

import datetime as dt
import time
from typing import Final

from lutra.console.languages import translate

_US_PER_S: Final = 1_000_000
_UNITS: Final = ("B", "KB", "MB", "GB", "TB", "PB")
_STEP: Final = 1_024
_AGES: Final = (
    (86_400.0, "{number} days ago"),
    (3_600.0, "{number} h ago"),
    (60.0, "{number} min ago"),
    (1.0, "{number} s ago"),
)


def number(value: int | float) -> str:
    """``12345.678`` as ``12,345.68``."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.1f}"


def size(byte_count: int | float) -> str:
    """``1536`` as ``1.5 KB``."""
    value, unit = float(byte_count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {_UNITS[unit]}"


def moment(time_us: int) -> str:
    """µs since the epoch, as ``2026-11-30 15:04:05`` (UTC)."""
    try:
        at = dt.datetime.fromtimestamp(time_us / _US_PER_S, tz=dt.UTC)
    except (OverflowError, ValueError, OSError):
        return str(time_us)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(time_us: int, language: str, now_s: float | None = None) -> str:
    """How long ago a time, µs since the epoch, was."""
    age_s = (time.time() if now_s is None else now_s) - time_us / _US_PER_S
    for unit_s, message in _AGES:
        if age_s >= unit_s:
            return translate(language, message, number=int(age_s / unit_s))
    return translate(language, "now")
