"""The frames of a log as RocksDB writes it, checked one by one (``native/common/log_frames.h``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native

WHOLE: Final = 1
FIRST: Final = 2
LAST: Final = 4
"""Types of frames: a whole record, the first part of one, the last; MIDDLE, 3, is between."""


class LogEnd(IntEnum):
    """Why reading ended where it did."""

    WHOLE = 0
    """After a frame, where the data ends."""
    CUT = 1
    """The data ends within a frame."""
    ZEROS = 2
    """At a header of zeros."""
    DAMAGED = 3
    """At what is no frame: its checksum does not fit, or its type or length cannot be."""


@dataclass(frozen=True, slots=True)
class LogFrames:
    """Of each frame int64 [n] where its payload begins and its length, and uint8 [n] its type. ``end``: of the last."""

    payloads: NDArray[np.int64]
    lengths: NDArray[np.int64]
    types: NDArray[np.uint8]
    end: int
    why: LogEnd


def log_frames(data: NDArray[np.uint8]) -> LogFrames:
    """The frames of a whole log file, uint8 [n], as far as they are whole. The GIL is released."""
    payloads, lengths, types, end, why = _native.log_frames(data)
    return LogFrames(payloads, lengths, types, end, LogEnd(why))
