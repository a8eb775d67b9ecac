"""Frames of logs, against the format's own rules in plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.checksum import crc32c
from lutra.kernels.log_frames import LogEnd, log_frames

BLOCK = 32 * 1024
HEADER = 7


def frame(type_: int, payload: bytes) -> bytes:
    checksum = crc32c(bytes((type_,)) + payload)
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return masked.to_bytes(4, "little") + len(payload).to_bytes(2, "little") + bytes((type_,)) + payload


def written(records: list[bytes]) -> tuple[bytes, list[tuple[int, int, int]]]:
    """A log of ``records``, and of each frame where its payload begins, its length and its type."""
    log, frames = b"", []
    for record in records:
        is_first = True
        while True:
            left = BLOCK - len(log) % BLOCK
            if left < HEADER:
                log += b"\0" * left
                left = BLOCK
            part, record = record[: left - HEADER], record[left - HEADER :]
            type_ = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[is_first, not record]
            frames.append((len(log) + HEADER, len(part), type_))
            log += frame(type_, part)
            is_first = False
            if not record:
                break
    return log, frames


def read(log: bytes) -> tuple[list[tuple[int, int, int]], int, LogEnd]:
    found = log_frames(np.frombuffer(log, np.uint8))
    return (
        list(zip(found.payloads.tolist(), found.lengths.tolist(), found.types.tolist(), strict=True)),
        found.end,
        found.why,
    )


RECORDS = st.lists(st.integers(0, 40).map(bytes) | st.integers(32_700, 32_800).map(bytes) | st.just(b"x" * 70_000))


@given(RECORDS, st.data())
def test_what_was_written_is_read(records: list[bytes], data: st.DataObject) -> None:
    log, frames = written(records)
    assert read(log) == (frames, len(log), LogEnd.WHOLE)
    cut = data.draw(st.integers(0, len(log)))
    whole = [one for one in frames if one[0] + one[1] <= cut]
    found, end, why = read(log[:cut])
    assert found == whole
    assert why is LogEnd.WHOLE if end == cut else LogEnd.CUT
    if log:
        place = data.draw(st.integers(0, len(log) - 1))
        damaged = log[:place] + bytes((log[place] ^ data.draw(st.integers(1, 255)),)) + log[place + 1 :]
        found, end, why = read(damaged)
        # What lies between the last frame of a block and the block's end is nobody's.
        is_in_a_frame = any(begin - HEADER <= place < begin + length for begin, length, _ in frames)
        assert (found == frames) != is_in_a_frame
        if is_in_a_frame:
            assert why is not LogEnd.WHOLE
            assert end <= place


def test_zeros_and_lengths_beyond_the_block() -> None:
    log, frames = written([b"a", b"b"])
    assert read(log + b"\0" * 100) == (frames, len(log), LogEnd.ZEROS)
    assert read(log + b"\0\0\0\0\xff\xff\x01") == (frames, len(log), LogEnd.DAMAGED)
    assert read(log + frame(5, b"of a log used again")) == (frames, len(log), LogEnd.DAMAGED)
    assert read(b"") == ([], 0, LogEnd.WHOLE)
