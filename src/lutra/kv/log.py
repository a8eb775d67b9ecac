"""RocksDB's logs read without RocksDB: the write-ahead logs, and the manifest, which is written as one.

RocksDB replays a write-ahead log up to a record that was cut short by a crash, which was never acknowledged. Of other
damage its reader makes an error or, where bytes are missing, may turn in circles for ever (9.8); and a log that is
missing as a whole, or up to a record's end, it takes for the end of what was written. So every log that is to be
replayed is read here first: each frame's checksum, the order of frames, and the sequence numbers, which have no gaps.

A tail that RocksDB would drop is dropped here as well: a record whose bytes end early, or zeros to the file's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.log_frames import FIRST, LAST, WHOLE, LogEnd, LogFrames, log_frames
from lutra.model.errors import Corruption

_HEAD_BYTES: Final = 12
"""Of a batch: the sequence number of its first operation, uint64, and how many there are, uint32."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Of the operations in a log: that of the first, and one more than that of the last."""

    begin: int
    end: int


def read_sequences(path: Path) -> Sequences | None:
    """What a write-ahead log holds; None where that is nothing.

    Raises Corruption, and OSError where it cannot be read.
    """
    data, frames = _read(path)
    heads = _heads(path, data, frames)
    if not len(heads):
        return None
    begins = heads[:, :8].copy().view("<u8")[:, 0]
    ends = begins + heads[:, 8:].copy().view("<u4")[:, 0]
    gaps = np.flatnonzero(begins[1:] != ends[:-1])
    if len(gaps):
        at = int(gaps[0])
        raise Corruption(f"{path.name} is damaged: after write {int(ends[at]) - 1} comes {int(begins[at + 1])}")
    return Sequences(int(begins[0]), int(ends[-1]))


def read_records(path: Path) -> list[bytes]:
    """All records of a log. Raises Corruption, and OSError where it cannot be read."""
    data, frames = _read(path)
    records: list[bytes] = []
    parts: list[bytes] = []
    columns = (frames.payloads.tolist(), frames.lengths.tolist(), frames.types.tolist())
    for begin, length, type_ in zip(*columns, strict=True):
        parts.append(data[begin : begin + length].tobytes())
        if type_ in (WHOLE, LAST):
            records.append(b"".join(parts))
            parts = []
    return records


def _read(path: Path) -> tuple[NDArray[np.uint8], LogFrames]:
    """The file, and the frames of all records that are whole."""
    data = np.fromfile(path, np.uint8)
    read = log_frames(data)
    if read.why is LogEnd.DAMAGED or (read.why is LogEnd.ZEROS and data[read.end :].any()):
        raise Corruption(f"{path.name} is damaged at byte {read.end} of {len(data)}")
    begins = (read.types == WHOLE) | (read.types == FIRST)
    ends = (read.types == WHOLE) | (read.types == LAST)
    wanted = np.concatenate(([True], ends[:-1])) if len(ends) else begins
    if not np.array_equal(begins, wanted):
        at = int(read.payloads[np.flatnonzero(begins != wanted)[0]])
        raise Corruption(f"{path.name} is damaged at byte {at} of {len(data)}: parts of records are missing")
    whole = int(np.flatnonzero(ends)[-1]) + 1 if ends.any() else 0
    kept = LogFrames(read.payloads[:whole], read.lengths[:whole], read.types[:whole], read.end, read.why)
    return data, kept


def _heads(path: Path, data: NDArray[np.uint8], frames: LogFrames) -> NDArray[np.uint8]:
    """uint8 [records, 12]: the first bytes of each record."""
    firsts = np.flatnonzero((frames.types == WHOLE) | (frames.types == FIRST))
    begins = frames.payloads[firsts]
    if not len(begins):
        return np.empty((0, _HEAD_BYTES), np.uint8)
    near = begins[:, None] + np.arange(_HEAD_BYTES)
    heads: NDArray[np.uint8] = data[np.minimum(near, len(data) - 1)]
    for record in np.flatnonzero(frames.lengths[firsts] < _HEAD_BYTES).tolist():  # few: where a block ends
        heads[record] = _head_in_parts(path, data, frames, int(firsts[record]))
    return heads


def _head_in_parts(path: Path, data: NDArray[np.uint8], frames: LogFrames, first: int) -> NDArray[np.uint8]:
    """The first bytes of a record whose first frame is shorter than they are."""
    head = np.empty(0, np.uint8)
    for frame in range(first, len(frames.types)):
        begin = int(frames.payloads[frame])
        head = np.concatenate((head, data[begin : begin + int(frames.lengths[frame])]))[:_HEAD_BYTES]
        if len(head) == _HEAD_BYTES:
            return head
        if frames.types[frame] in (WHOLE, LAST):
            break
    at = int(frames.payloads[first])
    raise Corruption(f"{path.name} is damaged at byte {at} of {len(data)}: a record is too short")
