"""CRC-32C (Castagnoli), the checksum of what is stored (``native/common/crc32c.h``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native


def crc32c(data: bytes) -> int:
    """The checksum of ``data``, as in RFC 3720: that of ``b"123456789"`` is 0xE3069283."""
    if not data:
        return 0
    return int(_native.crc32c_blocks(np.frombuffer(data, np.uint8), len(data), len(data))[0])


def crc32c_blocks(data: NDArray[np.uint8], block_bytes: int, covered_bytes: int | None = None) -> NDArray[np.uint32]:
    """uint32 [blocks]: the checksum of each block of ``block_bytes`` of uint8 [n] ``data``; the last may be shorter.

    Only the first ``covered_bytes`` of a block count, where given. The GIL is released.

    :raises ValueError: blocks of no bytes.
    """
    return _native.crc32c_blocks(data, block_bytes, block_bytes if covered_bytes is None else covered_bytes)
