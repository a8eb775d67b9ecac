"""What a process is told of memory on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lutra.instance.memory_keeper import MemoryKeeper

_MIB: Final = 1024 * 1024
_LIMIT_DEFAULT: Final = "25%"
_LIMIT_BYTES_MIN: Final = 320 * _MIB
"""Where nobody says a limit, however small the machine."""
_SCRATCH_PART: Final = 32
"""Of the limit, what searches keep for the next ones: a part in so many."""
_BODIES_PART: Final = 4
"""Of what requests may take, a part in so many is bodies: what is made of them takes the rest."""


@dataclass(frozen=True, slots=True)
class SaidMemory:
    """As `lutra.instance.engine.Engine.open` takes it."""

    limit_bytes: int
    segments_bytes: int | None
    build_bytes: int | None

    def bodies_bytes_max(self, keeper: MemoryKeeper) -> int:
        """Of all requests together: one of the largest in any case."""
        from lutra.model.limits import BODY_BYTES_MAX

        assert keeper.plan is not None
        return max(BODY_BYTES_MAX, keeper.plan.requests_bytes // _BODIES_PART)


def said_memory(
    limit: str | None, segments_mb: int | None, build_mb: int | None = None, processes: int = 1
) -> SaidMemory:
    """What ``--memory-limit``, ``--memory-mb`` and ``--build-memory-mb`` come to.

    Where only parts are said the limit is as much as they need, if that is more than it is otherwise. ``processes``
    share what is there where no limit is said. Raises ParameterInvalid.
    """
    from lutra.index.lsm.machine import machine_memory_bytes
    from lutra.instance.memory_plan import size_of

    segments_bytes = None if segments_mb is None else segments_mb * _MIB
    build_bytes = None if build_mb is None else build_mb * _MIB
    limit_bytes = size_of(limit or _LIMIT_DEFAULT, machine_memory_bytes())
    if limit is None:
        parts = (segments_bytes or 0) + (build_bytes or 0)
        least = _LIMIT_BYTES_MIN + (2 * parts if parts < _LIMIT_BYTES_MIN else parts + parts // 2 + _LIMIT_BYTES_MIN)
        limit_bytes = max(limit_bytes // processes, least)
    return SaidMemory(limit_bytes, segments_bytes, build_bytes)


def keep_little(limit_bytes: int) -> None:
    """Has malloc and searches keep less where there is little: before threads are started."""
    from lutra.kernels import malloc, searcher

    searcher.keep_scratch(limit_bytes // _SCRATCH_PART)
    malloc.keep_little(arenas=max(2, min(16, limit_bytes // (256 * _MIB))))
