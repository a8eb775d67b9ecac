"""Which documents of a segment are dead, as an object of its own (little-endian)::

magic 8 | format version u32 | roaring bitmap, as CRoaring's portable format has it | crc32c u32 of all before it
"""

from __future__ import annotations

import array
import struct
from typing import Any, Final

import numpy as np
from pyroaring import BitMap

from lutra.kernels.checksum import crc32c
from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption, StorageFailure
from lutra.objects.store import ObjectStore

FORMAT_VERSION: Final = 1
MAGIC: Final = b"lutraDEL"
_HEAD: Final = struct.Struct("<8sI")
_CHECKSUM: Final = struct.Struct("<I")


def dead_of(live: RowMask) -> BitMap:
    """The documents that ``live`` leaves out."""
    dead = RowMask.all(live.rows) - live
    return BitMap(array.array("I", dead.ids().astype(np.uint32).tobytes()))


def live_of(size: int, dead: BitMap | None) -> RowMask:
    """All of ``size`` documents but ``dead``. Raises ValueError where one of those is no document."""
    live = RowMask.all(size)
    if not dead:
        return live
    if dead.max() >= size:
        raise ValueError(f"document {dead.max()} of {size} is dead")
    return live.minus(np.frombuffer(dead.to_array(), np.uint32))


def write_deletions(store: ObjectStore, name: str, dead: BitMap) -> int:
    """Stores ``dead`` as object ``name``; returns its size in bytes. Raises StorageFailure."""
    body = _HEAD.pack(MAGIC, FORMAT_VERSION) + dead.serialize()
    data = body + _CHECKSUM.pack(crc32c(body))
    store.put(name, data)
    return len(data)


def read_deletions(store: ObjectStore, name: str) -> BitMap:
    """What `write_deletions` stored.

    Raises ObjectMissing, StorageFailure (where a newer Lutra wrote it, too), Corruption where it is damaged.
    """
    data = store.get(name)
    body: Any = data[: -_CHECKSUM.size]
    if len(body) < _HEAD.size or data[: len(MAGIC)] != MAGIC:
        raise Corruption(f"{name}: not an object of deletions: it is cut short, or something else.")
    if _CHECKSUM.unpack(data[-_CHECKSUM.size :]) != (crc32c(body),):
        raise Corruption(f"{name}: these deletions fail their checksum.")
    _, version = _HEAD.unpack_from(body)
    if version > FORMAT_VERSION:
        raise StorageFailure(f"{name}: deletions of format version {version}; this Lutra reads up to {FORMAT_VERSION}.")
    try:
        return BitMap.deserialize(body[_HEAD.size :])
    except (ValueError, IndexError) as error:
        raise Corruption(f"{name}: these deletions make no sense: {error}.") from error
