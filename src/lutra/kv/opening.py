"""From an address to the key-value store that is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore
from lutra.model.errors import ParameterInvalid


def open_store(
    address: str | os.PathLike[str],
    *,
    may_make: bool = True,
    known_as: Path | None = None,
    on_objects: bool = False,
    hidden: Sequence[tuple[bytes, bytes]] = (),
    on_swept: Callable[[], None] | None = None,
) -> KeyValueStore:
    """The store at ``address``, to read and write: a folder's path, ``file:///path``, or ``s3://bucket/prefix``.

    :param may_make: one is made where there is none.
    :param known_as: what errors call the place where somebody has it.
    :param on_objects: a folder is to be an object store, too, as ``s3://`` always is: what is there is SlateDB's, which
        any machine that reaches it can open, and whose writer is whoever opened it last. Else it is RocksDB's.
    :param hidden: ranges of keys [begin, end) of which nothing is ever shown (`lutra.kv.slatedb.store.SlateStore`).
    :param on_swept: called when nothing is left in them.
    :raises ParameterInvalid: that is no address of a key-value store.
    :raises StorageFailure, DirectoryInUse, Corruption: as `lutra.kv.rocksdb.RocksStore` does.
    :raises StorageFailure, Fenced, Corruption, ForkedProcess: as `lutra.kv.slatedb.store.SlateStore` does.
    """
    text = os.fspath(address)
    if on_objects or text.startswith("s3://"):
        from lutra.kv.slatedb.store import SlateStore

        return SlateStore(text, may_make=may_make, known_as=known_as, hidden=hidden, on_swept=on_swept)
    if hidden:
        raise ParameterInvalid("only a store on objects hides ranges of keys")
    return RocksStore(_folder_of(text), may_make=may_make, known_as=known_as)


def _folder_of(address: str) -> Path:
    if "://" not in address:
        if not address:
            raise ParameterInvalid("the address of a key-value store is empty: it is a folder's path, or file:///path")
        return Path(address)
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ParameterInvalid(
            f"{address} is no address of a key-value store: it is a folder's path, file:///path or s3://bucket/prefix"
        )
    return Path(unquote(parts.path))
