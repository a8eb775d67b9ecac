"""From an address to the key-value store that is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore
from lutra.model.errors import ParameterInvalid

MEMORY_BYTES_DEFAULT: Final = 128 * 1024 * 1024


def open_store(
    address: str | os.PathLike[str],
    *,
    may_make: bool = True,
    known_as: Path | None = None,
    memory_bytes: int = MEMORY_BYTES_DEFAULT,
) -> KeyValueStore:
    """The store at ``address``, a folder's path or ``file:///path``, to read and write.

    :param may_make: one is made where there is none.
    :param memory_bytes: blocks that were read last, and what is written and in no table yet: half each.
    :param known_as: what errors call the place where somebody has it.
    :raises ParameterInvalid: that is no address of a key-value store.
    :raises StorageFailure, DirectoryInUse, Corruption: as `lutra.kv.rocksdb.RocksStore` does.
    """
    half_bytes = memory_bytes // 2
    return RocksStore(
        _folder_of(os.fspath(address)),
        block_cache_bytes=half_bytes,
        write_buffer_bytes=half_bytes,
        may_make=may_make,
        known_as=known_as,
    )


def _folder_of(address: str) -> Path:
    if "://" not in address:
        if not address:
            raise ParameterInvalid("the address of a key-value store is empty: it is a folder's path, or file:///path")
        return Path(address)
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ParameterInvalid(f"{address} is no address of a key-value store: it is a folder's path, or file:///path")
    return Path(unquote(parts.path))
