"""Local time: how far it is ahead of UTC, by instants, and when it comes to something."""

from __future__ import annotations

import datetime as dt
import functools
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from lutra.model.errors import ParameterInvalid

Millis = npt.NDArray[np.int64]
"""int64[n]: milliseconds since the epoch, of UTC or of the clocks of a zone."""

_MS_PER_S: Final = 1_000
_DAY_S: Final = 86_400
_OFFSET: Final = re.compile(r"([+-])(\d{2}):(\d{2})")
_OFFSET_HOURS_MAX: Final = 18
_NAME: Final = re.compile(r"[A-Za-z0-9_+\-/]{1,64}")
_STEPS_MAX: Final = 16
"""So many changes are gone through one by one in less time than instants are sorted in among them."""
_YEAR_MIN: Final = 1_600
_YEAR_MAX: Final = 2_400
"""Dates of an index lie between them, offsets of histograms included."""


class Zone(ABC):
    """A time zone."""

    @abstractmethod
    def local(self, instants: Millis) -> Millis:
        """What clocks show."""

    @abstractmethod
    def instant(self, local: int) -> int:
        """When clocks show ``local`` or more for the first time: where they are put back, the first time of two;
        where they are put forward past it, the moment of that."""


@dataclass(frozen=True, slots=True)
class FixedZone(Zone):
    offset_ms: int

    def local(self, instants: Millis) -> Millis:
        return instants + self.offset_ms if self.offset_ms else instants

    def instant(self, local: int) -> int:
        return local - self.offset_ms


@dataclass(frozen=True, slots=True)
class NamedZone(Zone):
    """Of the IANA's database."""

    name: str

    def local(self, instants: Millis) -> Millis:
        if not len(instants):
            return instants
        starts, offsets = _changes(self.name, int(instants.min()), int(instants.max()))
        shown: Millis = instants + int(offsets[0])
        if len(offsets) > _STEPS_MAX:
            return instants + offsets[np.searchsorted(starts[1:], instants, side="right")]
        for start, step in zip(starts[1:].tolist(), np.diff(offsets).tolist(), strict=True):
            shown += (instants >= start) * np.int64(step)
        return shown

    def instant(self, local: int) -> int:
        starts, offsets = _changes(self.name, local, local)
        ends = [*starts[1:].tolist(), None]
        for start, end, offset in zip(starts.tolist(), ends, offsets.tolist(), strict=True):
            if end is None or local - offset < end:
                return int(max(start, local - offset))
        raise AssertionError("the last offset holds for ever")


def zone_of(text: str | None) -> Zone:
    """An offset such as ``+08:00``, or a name such as ``Europe/Berlin``; None: UTC. Raises ParameterInvalid."""
    if not text or text in ("Z", "UTC"):
        return FixedZone(0)
    match = _OFFSET.fullmatch(text)
    if match is not None:
        hours, minutes = int(match[2]), int(match[3])
        if hours > _OFFSET_HOURS_MAX or minutes > 59:
            raise ParameterInvalid(f"time_zone [{text}]: an offset is one of {_OFFSET_HOURS_MAX} hours at most")
        offset_ms = (hours * 3_600 + minutes * 60) * _MS_PER_S
        return FixedZone(-offset_ms if match[1] == "-" else offset_ms)
    try:
        if _NAME.fullmatch(text) is None:
            raise ValueError(text)
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ParameterInvalid(
            f"time_zone [{text[:64]}] must be an offset such as +08:00, or a name such as Europe/Berlin"
        ) from None
    return NamedZone(text)


def _changes(name: str, first: int, last: int) -> tuple[Millis, Millis]:
    """The offsets that hold around ``first`` to ``last``, and from when on each holds; the first: for ever before."""
    return _changes_of_years(name, _year_about(first), _year_about(last))


@functools.lru_cache(maxsize=1_024)
def _changes_of_years(name: str, first: int, last: int) -> tuple[Millis, Millis]:
    starts: list[int] = []
    offsets: list[int] = []
    for year in range(first - 2, last + 3):
        for start, offset in _changes_of_year(name, year):
            if not offsets or offsets[-1] != offset:
                starts.append(start)
                offsets.append(offset)
    starts[0] = np.iinfo(np.int64).min
    return np.array(starts, np.int64), np.array(offsets, np.int64)


def _year_about(ms: int) -> int:
    """One beside it at most: years are counted without leap days."""
    return max(_YEAR_MIN, min(_YEAR_MAX, 1970 + ms // (_MS_PER_S * _DAY_S * 365)))


@functools.lru_cache(maxsize=4_096)
def _changes_of_year(name: str, year: int) -> list[tuple[int, int]]:
    """From when on which offset holds, in ms, the one at its beginning first. No zone has two changes in a day."""
    zone = ZoneInfo(name)
    begin = int(dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp())
    end = int(dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC).timestamp())
    found = [(begin, _offset_s(zone, begin))]
    for day in range(begin + _DAY_S, end + _DAY_S, _DAY_S):
        offset = _offset_s(zone, min(day, end))
        if offset != found[-1][1]:
            before, after = day - _DAY_S, min(day, end)
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if _offset_s(zone, middle) == found[-1][1] else (before, middle)
            found.append((after, offset))
    return [(start * _MS_PER_S, offset * _MS_PER_S) for start, offset in found]


def _offset_s(zone: ZoneInfo, instant_s: int) -> int:
    offset = dt.datetime.fromtimestamp(instant_s, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
