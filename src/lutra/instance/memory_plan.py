"""How the memory of a whole process, its builders included, is shared out (design note 0049)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lutra.index.builds.opening import LOCAL
from lutra.index.builds.policy import BUILDER_BASE_BYTES
from lutra.index.lsm.resources import Resources
from lutra.model.errors import ParameterInvalid
from lutra.objects.store import ObjectStore

_MIB: Final = 1024 * 1024
LATER_BYTES: Final = 24 * _MIB
"""What a process comes to take beside what it took at its start: modules that are loaded late, stacks of threads."""
REST_BYTES_MIN: Final = 128 * _MIB
"""With less than that beside what the process itself takes nothing useful can be done."""
_RESERVE_PART: Final = 16
"""A part in so many of the limit is shared out to nobody: what malloc keeps, and what comes and goes in moments."""
_RESERVE_BYTES_MAX: Final = 512 * _MIB
_ROWS_BYTES_MAX: Final = 128 * _MIB
_BUFFERS_BYTES_MAX: Final = 512 * _MIB
_REQUESTS_BYTES_MAX: Final = 512 * _MIB
_PART_BYTES_MIN: Final = 8 * _MIB
_BUILDS_SHARE: Final = 0.4
_BUILDS_BYTES_MIN: Final = 96 * _MIB
_BUILDS_SHARE_MAX: Final = 0.85
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(%|[kmgt]?i?b?)", re.IGNORECASE)
_UNITS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes, all of them together the limit."""

    limit_bytes: int
    process_bytes: int
    """The interpreter, libraries and all that was there before a directory was opened; and what comes later."""
    reserve_bytes: int
    rows_bytes: int
    """The key-value store: blocks read last, and what is written and in no table yet, half each."""
    buffers_bytes: int
    """The newest rows of search indexes, until they are written out."""
    requests_bytes: int
    """Bodies and answers, what searches note down, sessions of scans, transactions."""
    builds_bytes: int
    """All processes that build segments, together."""
    segments_bytes: int
    """Codes, graphs and blocks of segments; while nothing is built, what builds have as well."""

    @classmethod
    def of(
        cls,
        limit_bytes: int,
        taken_bytes: int,
        *,
        segments_bytes: int | None = None,
        build_bytes: int | None = None,
    ) -> MemoryPlan:
        """Shares ``limit_bytes`` out in a process that takes ``taken_bytes`` now.

        ``segments_bytes``, ``build_bytes`` (of one build): where somebody said them. Raises ParameterInvalid where that
        is more than there is, or too little is left.
        """
        process, reserve = taken_bytes + LATER_BYTES, min(limit_bytes // _RESERVE_PART, _RESERVE_BYTES_MAX)
        rest = limit_bytes - process - reserve
        if rest < REST_BYTES_MIN:
            least = -(-(process + REST_BYTES_MIN) * _RESERVE_PART // (_RESERVE_PART - 1))
            raise ParameterInvalid(
                f"a memory limit of {limit_bytes // _MIB} MiB is too little: this process takes "
                f"{taken_bytes // _MIB} MiB before it does anything; give it {-(-least // _MIB)} MiB or more"
            )
        rows = _between(rest // 8, _ROWS_BYTES_MAX)
        buffers = _between(rest // 10, _BUFFERS_BYTES_MAX)
        requests = _between(rest // 10, _REQUESTS_BYTES_MAX)
        pool = rest - rows - buffers - requests
        if build_bytes is not None:
            builds = build_bytes + BUILDER_BASE_BYTES
        elif segments_bytes is not None:
            builds = pool - segments_bytes
        else:
            builds = max(int(_BUILDS_SHARE * pool), min(int(_BUILDS_SHARE_MAX * pool), _BUILDS_BYTES_MIN))
        segments = pool - builds if segments_bytes is None else segments_bytes
        if segments + builds > pool or min(segments, builds - BUILDER_BASE_BYTES) < _PART_BYTES_MIN:
            raise ParameterInvalid(
                f"of a memory limit of {limit_bytes // _MIB} MiB {pool // _MIB} MiB are left for segments and builds "
                f"together, with {BUILDER_BASE_BYTES // _MIB} MiB for the process that builds: that is too little for "
                "what was said of them"
            )
        return cls(limit_bytes, process, reserve, rows, buffers, requests, builds, segments)

    @property
    def build_bytes(self) -> int:
        """What one build may take, beside what its process takes before it begins."""
        return self.builds_bytes - BUILDER_BASE_BYTES

    def resources(
        self,
        address: str,
        scratch: Path,
        examine: Callable[[ObjectStore], object] = lambda objects: None,
        builders: str = LOCAL,
    ) -> Resources:
        """What all search indexes share, as the plan has it. Raises as `Resources.open`."""
        return Resources.open(
            address,
            scratch,
            self.segments_bytes,
            examine,
            self.build_bytes,
            builders,
            all_builds_bytes=self.build_bytes,
            buffers_bytes=self.buffers_bytes,
        )

    @property
    def shares(self) -> dict[str, int]:
        """By what they are for; all of them together are the limit but for what division left over."""
        names = ("process", "reserve", "rows", "buffers", "requests", "builds", "segments")
        return {name: getattr(self, f"{name}_bytes") for name in names}


def size_of(text: str, whole_bytes: int) -> int:
    """``512MiB``, ``2GiB``, ``1.5g`` (units are powers of 1,024), or ``25%`` of ``whole_bytes``. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size: say 512MiB, 2GiB or 25%")
    number, unit = float(found[1]), found[2].lower()
    if unit == "%":
        if not 0 < number <= 100:
            raise ValueError(f"{text} is no share of the memory: it is more than 0 % and at most 100 %")
        return int(number * whole_bytes / 100)
    return int(number * 1024 ** _UNITS[unit.rstrip("b").rstrip("i")])


def _between(wanted: int, most: int) -> int:
    return max(_PART_BYTES_MIN, min(wanted, most))
