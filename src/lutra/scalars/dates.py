"""Dates of a search index: formats in, nanoseconds since the epoch out.

The range is that of a signed 64-bit count of nanoseconds, 1677-09-21 to 2262-04-11; Tablestore documents its upper half
(https://www.alibabacloud.com/help/en/tablestore/types-of-date-data). A pattern without an offset is read as UTC.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lutra.model.errors import ParameterInvalid
from lutra.model.values import INT64_MAX, INT64_MIN

NS_PER_S: Final = 1_000_000_000
DEFAULT_FORMATS: Final = ("epoch_millis",)

EPOCH_UNITS_NS: Final = {
    "epoch_second": NS_PER_S,
    "epoch_millis": 1_000_000,
    "epoch_micros": 1_000,
    "epoch_nanos": 1,
}
_PATTERN_CHARS_MAX: Final = 128
_EPOCH_ORDINAL: Final = datetime.date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)

# Letter and count → (what it gives, regular expression). The letters are those of Java's DateTimeFormatter.
_NUMBERS: Final = {
    "yyyy": ("year", r"(\d{4})"),
    "yy": ("short_year", r"(\d{2})"),
    "y": ("year", r"(\d{1,4})"),
    "MM": ("month", r"(\d{2})"),
    "M": ("month", r"(\d{1,2})"),
    "dd": ("day", r"(\d{2})"),
    "d": ("day", r"(\d{1,2})"),
    "HH": ("hour", r"(\d{2})"),
    "H": ("hour", r"(\d{1,2})"),
    "KK": ("half_hour", r"(\d{2})"),
    "K": ("half_hour", r"(\d{1,2})"),
    "hh": ("clock_hour", r"(\d{2})"),
    "h": ("clock_hour", r"(\d{1,2})"),
    "mm": ("minute", r"(\d{2})"),
    "m": ("minute", r"(\d{1,2})"),
    "ss": ("second", r"(\d{2})"),
    "s": ("second", r"(\d{1,2})"),
    "a": ("half", r"([AaPp][Mm])"),
}
_OFFSETS: Final = {
    "X": r"[+-]\d{2}(?:\d{2})?|Z",
    "XX": r"[+-]\d{4}|Z",
    "XXX": r"[+-]\d{2}:\d{2}|Z",
    "XXXX": r"[+-]\d{4}(?:\d{2})?|Z",
    "XXXXX": r"[+-]\d{2}:\d{2}(?::\d{2})?|Z",
    "x": r"[+-]\d{2}(?:\d{2})?",
    "xx": r"[+-]\d{4}",
    "xxx": r"[+-]\d{2}:\d{2}",
    "xxxx": r"[+-]\d{4}(?:\d{2})?",
    "xxxxx": r"[+-]\d{2}:\d{2}(?::\d{2})?",
    "Z": r"[+-]\d{4}",
    "ZZ": r"[+-]\d{4}",
    "ZZZ": r"[+-]\d{4}",
}
_NEEDS: Final = {
    "month": ("year", "short_year"),
    "day": ("month",),
    "hour": ("day",),
    "half_hour": ("half",),
    "clock_hour": ("half",),
    "half": ("day",),
    "minute": ("hour", "half_hour", "clock_hour"),
    "second": ("minute",),
    "fraction": ("second",),
}
_SAME: Final = {"short_year": "year", "half_hour": "hour", "clock_hour": "hour"}
_TOKEN: Final = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']")


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A compiled pattern: ``parts`` names the groups of ``regex`` in order."""

    regex: re.Pattern[str]
    parts: tuple[str, ...]

    def parse(self, text: str) -> int | None:
        """Nanoseconds since the epoch, of any size; None where ``text`` is not of this pattern or no date."""
        match = self.regex.fullmatch(text)
        if match is None:
            return None
        part = dict(zip(self.parts, match.groups(), strict=True))
        year = int(part["year"]) if "year" in part else 2000 + int(part["short_year"])
        hour = _hour(part)
        minute, second = int(part.get("minute", 0)), int(part.get("second", 0))
        offset_s = _offset_s(part.get("offset", "Z"))
        if hour is None or minute > 59 or second > 59 or offset_s is None:
            return None
        try:
            days = datetime.date(year, int(part.get("month", 1)), int(part.get("day", 1))).toordinal() - _EPOCH_ORDINAL
        except ValueError:
            return None
        seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_s
        fraction_ns = int(part.get("fraction", "").ljust(9, "0"))
        return seconds * NS_PER_S + fraction_ns


def datetime_ns(moment: datetime.datetime) -> int:
    """Nanoseconds since the epoch of a datetime that has a zone, exactly: those of a pandas.Timestamp count too."""
    nanosecond: int = getattr(moment, "nanosecond", 0)
    return (moment - _EPOCH) // _MICROSECOND * 1_000 + nanosecond


def _hour(part: dict[str, str]) -> int | None:
    """The hour of the day, or None where it is out of range."""
    if "half" not in part:
        hour = int(part.get("hour", 0))
        return hour if hour <= 23 else None
    afternoon = 12 if part["half"].upper() == "PM" else 0
    if "clock_hour" in part:
        hour = int(part["clock_hour"])
        return hour % 12 + afternoon if 1 <= hour <= 12 else None
    hour = int(part.get("half_hour", 0))
    return hour + afternoon if hour <= 11 else None


def _offset_s(text: str) -> int | None:
    """Seconds east of UTC, or None where it is no offset (they end at 18 hours)."""
    if text == "Z":
        return 0
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    total = hours * 3_600 + minutes * 60 + seconds
    if minutes > 59 or seconds > 59 or total > 18 * 3_600:
        return None
    return -total if text[0] == "-" else total


def _compile(pattern: str) -> _Pattern:
    """Compiles a date pattern; ParameterInvalid where it is none."""
    if not pattern or len(pattern) > _PATTERN_CHARS_MAX:
        raise ParameterInvalid(f"date format must have 1 to {_PATTERN_CHARS_MAX} characters")
    regex: list[str] = []
    parts: list[str] = []
    end = 0
    for token in _TOKEN.finditer(pattern):
        if token.start() != end:
            break
        end = token.end()
        text = token.group()
        if token.group(1) is not None:
            regex.append(re.escape(token.group(1).replace("''", "'") or "'"))
        elif token.group(2) is None:
            regex.append(re.escape(text))
        elif text in _NUMBERS:
            part, expression = _NUMBERS[text]
            parts.append(part)
            regex.append(expression)
        elif text in _OFFSETS:
            parts.append("offset")
            regex.append(f"({_OFFSETS[text]})")
        elif text[0] == "S" and len(text) <= 9:
            parts.append("fraction")
            regex.append(rf"(\d{{{len(text)}}})")
        else:
            raise ParameterInvalid(f"date format [{pattern}]: [{text}] is not supported")
    if end != len(pattern):
        raise ParameterInvalid(f"date format [{pattern}]: a quote is not closed")
    _check_parts(pattern, parts)
    return _Pattern(re.compile("".join(regex), re.ASCII), tuple(parts))


def _check_parts(pattern: str, parts: list[str]) -> None:
    plain = [_SAME.get(part, part) for part in parts]
    if len(set(plain)) != len(plain):
        raise ParameterInvalid(f"date format [{pattern}]: a part is given twice")
    if "year" not in plain:
        raise ParameterInvalid(f"date format [{pattern}]: the year (y) is missing")
    for part in parts:
        needed = _NEEDS.get(part)
        if needed is not None and not any(other in parts for other in needed):
            raise ParameterInvalid(f"date format [{pattern}]: [{part}] needs {' or '.join(needed)} beside it")
    if "half" in parts and "hour" in parts:
        raise ParameterInvalid(f"date format [{pattern}]: AM/PM (a) goes with K or h, not with H")


class DateFormats:
    """The formats of one DATE field; empty means ``epoch_millis``.

    Integers are read by the first ``epoch_…`` format, strings by the first pattern that fits.
    Raises ParameterInvalid for an unknown format.
    """

    def __init__(self, formats: tuple[str, ...]) -> None:
        given = formats or DEFAULT_FORMATS
        units = [EPOCH_UNITS_NS[f] for f in given if f in EPOCH_UNITS_NS]
        self.formats = given
        self.unit_ns: int | None = units[0] if units else None
        """What integers count; None where they are no dates."""
        self._parsers: tuple[Callable[[str], int | None], ...] = tuple(
            _compile(f).parse for f in given if f not in EPOCH_UNITS_NS
        )

    def to_ns(self, value: object) -> int | None:
        """Nanoseconds since the epoch, or None where ``value`` is not of these formats, or does not fit 64 bits."""
        if type(value) is int:
            value_ns = None if self.unit_ns is None else value * self.unit_ns
        else:
            value_ns = self.parsed_ns(value) if type(value) is str else None
        return value_ns if value_ns is not None and INT64_MIN <= value_ns <= INT64_MAX else None

    def parsed_ns(self, text: str) -> int | None:
        """Nanoseconds since the epoch, of any size, by the first pattern that fits; None where none does."""
        for parse in self._parsers:
            result = parse(text)
            if result is not None:
                return result
        return None
