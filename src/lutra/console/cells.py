"""Values of rows as pages show them: in a line of a grid, and as a whole."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lutra.model.geo import GeoPoint
from lutra.transfer.texts import plain

LINE_CHARS_MAX: Final = 120
_NUMBERS_SHOWN: Final = 3
_BYTES_SHOWN: Final = 12
_TEXT_CHARS_MAX: Final = 256 * 1024
_PICTURES: Final = {
    "\t": " ",
    "\n": " ",
    "\r": " ",
    **{chr(code): chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n\r"},
    "\x7f": "\u2421",
}
_VISIBLE: Final = str.maketrans(_PICTURES)


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One value in a line. ``kind`` is text, number, truth, vector, json, bytes, moment or place."""

    kind: str
    line: str
    is_cut: bool = False
    """Whether there is more of it than the line shows."""
    measure: str = ""
    """Of a vector, how many of what it is."""
    size_bytes: int | None = None
    """Of bytes."""


def shown_value(value: Any, chars_max: int = LINE_CHARS_MAX) -> ShownValue:
    """``value``, one of a row's, in at most ``chars_max`` characters, and about that."""
    if isinstance(value, np.ndarray):
        first = ", ".join(f"{one:.4g}" for one in value[:_NUMBERS_SHOWN].tolist())
        more = ", …" if len(value) > _NUMBERS_SHOWN else ""
        return ShownValue("vector", f"{first}{more}", bool(more), f"{len(value)} × {value.dtype}")
    if isinstance(value, bytes):
        more = "…" if len(value) > _BYTES_SHOWN else ""
        return ShownValue("bytes", f"{value[:_BYTES_SHOWN].hex(' ')}{more}", bool(more), size_bytes=len(value))
    if isinstance(value, dt.datetime):
        return ShownValue("moment", moment_text(value))
    if isinstance(value, GeoPoint):
        return ShownValue("place", f"{value.lat:.6g}, {value.lon:.6g}")
    if isinstance(value, bool):
        return ShownValue("truth", "true" if value else "false")
    if isinstance(value, int | float):
        return ShownValue("number", str(value))
    if isinstance(value, str):
        line = value[: chars_max + 1].translate(_VISIBLE)
        is_cut = len(value) > chars_max
        return ShownValue("text", f"{line[:chars_max]}…" if is_cut else line, is_cut or line != value)
    text = json.dumps(plain(value), ensure_ascii=False)
    return ShownValue("json", f"{text[:chars_max]}…" if len(text) > chars_max else text, len(text) > chars_max)


def whole_text(value: Any) -> tuple[str, bool]:
    """All of ``value`` as text that people read, and whether it is cut: only of what is very long."""
    if isinstance(value, bytes):
        text = value[:_TEXT_CHARS_MAX].hex(" ", 4)
    elif isinstance(value, np.ndarray):
        text = ", ".join(map(str, value))
    elif isinstance(value, list | dict):
        text = json.dumps(plain(value), ensure_ascii=False, indent=2)
    elif isinstance(value, str):
        text = value
    else:
        text = shown_value(value).line
    return text[:_TEXT_CHARS_MAX], len(text) > _TEXT_CHARS_MAX or (isinstance(value, bytes) and len(text) < len(value))


def moment_text(moment: dt.datetime) -> str:
    """In UTC, to the second, or as fine as it is."""
    at = moment.astimezone(dt.UTC)
    fraction = f".{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
    return f"{at:%Y-%m-%d %H:%M:%S}{fraction} UTC"
