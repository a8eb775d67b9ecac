"""CRC-32C against published values and a bitwise model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.checksum import crc32c, crc32c_blocks


def model(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720, B.4.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_published_values(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum == model(data)


@given(st.binary(max_size=200), st.integers(1, 70), st.none() | st.integers(0, 80))
def test_each_block_has_its_own(data: bytes, block_bytes: int, covered_bytes: int | None) -> None:
    found = crc32c_blocks(np.frombuffer(data, np.uint8), block_bytes, covered_bytes)
    blocks = [data[i : i + block_bytes] for i in range(0, len(data), block_bytes)]
    assert found.dtype == np.uint32
    assert found.tolist() == [model(block[:covered_bytes]) for block in blocks]


def test_blocks_of_no_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        crc32c_blocks(np.zeros(4, np.uint8), 0)
