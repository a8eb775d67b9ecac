"""From where the user says the objects are, to a store that is fit to hold manifests."""

from __future__ import annotations

import os
import threading
import uuid
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from lutra.kernels.daemons import DaemonExecutor
from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.objects.local import LocalStore
from lutra.objects.store import ObjectStore

PROBE_FOLDER: Final = "probe"
_RIVALS: Final = 8


def open_store(place: str | os.PathLike[str], *, probe: bool = True, is_read_only: bool = False) -> ObjectStore:
    """The store at ``place``: ``s3://bucket/prefix``, a folder's path, or ``file:///path``.

    :param probe: a remote store is tried by `require_one_winner` first.
    :param is_read_only: it is to be looked at: nothing is made, tidied up or tried.
    :raises ParameterInvalid: that is no place objects can be.
    :raises StorageFailure: it cannot be opened, or is not fit.
    """
    text = os.fspath(place)
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme == "s3":
        from lutra.objects.s3 import S3Store  # 15 MB of obstore, which a local folder does not wait for

        store = S3Store(text)
        if probe and not is_read_only:
            require_one_winner(store)
        return store
    if scheme == "file":
        return LocalStore(_path_of(text), is_read_only=is_read_only)
    if scheme or not text:
        raise ParameterInvalid(f"Objects can be in a folder or at s3://bucket/prefix, not at {text!r}.")
    return LocalStore(Path(text), is_read_only=is_read_only)


def require_one_winner(store: ObjectStore) -> None:
    """Has several put one object if absent at once. Raises StorageFailure where not exactly one of them wins.

    There are servers that ignore the condition, or check first and write then. On such a one two writers of one index
    would each think itself alone.
    """
    name = f"{PROBE_FOLDER}/{uuid.uuid4().hex}"
    start = threading.Barrier(_RIVALS)

    def put(rival: int) -> bool:
        start.wait()
        return store.put_if_absent(name, bytes((rival,)))

    with DaemonExecutor("lutra-rival", _RIVALS) as rivals:
        won = list(rivals.map(put, range(_RIVALS)))
    kept = store.get(name)
    store.delete(name)
    if sum(won) > 1 or (any(won) and kept != bytes((won.index(True),))):
        raise StorageFailure(
            f"This object store lets {sum(won)} of {_RIVALS} writers win that put an object where there is none at the "
            "same time: an index would be lost on it. A server is needed that honours If-None-Match."
        )


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path or parts.query or parts.fragment:
        raise ParameterInvalid(f"Not the URL of a folder of this machine, as file:///path: {url!r}")
    return Path(unquote(parts.path))
