"""What all nodes of a cluster have in common, from its store: its id, the secret of nodes, the access key of clients.

The first who comes makes it. In a folder it can be read by its owner alone; on S3 who may read the bucket's objects
may ask nodes anything, as who may write them may change anything.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Final

from lutra.model.errors import Corruption, ForeignObjects, ObjectMissing, StorageFailure
from lutra.objects.store import ObjectStore

NAME: Final = "cluster"
_FORMAT: Final = 1
_LOOKS: Final = 3
_LOOK_S: Final = 0.2
_MAPS: Final = "map"
"""A folder that every cluster has (`lutra.cluster.map_log`)."""


class _PrivateFiles:
    """Files that are made within can be read by their owner alone, also by whoever looks the moment they are there.

    It holds for the process, and so for its other threads: for them it is strict and does no harm.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._before = os.umask(0o077)

    def __exit__(self, *error: object) -> None:
        os.umask(self._before)
        self._lock.release()


_private_files: Final = _PrivateFiles()


@dataclass(frozen=True, slots=True)
class Identity:
    """``peer_secret`` is hex. Secrets stay out of ``repr``, and so out of logs."""

    id: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    peer_secret: str = field(repr=False)


def identity_of(store: ObjectStore) -> Identity | None:
    """None where there is no cluster yet. Raises StorageFailure, also where others of the machine can read it, and
    Corruption."""
    try:
        data = store.get(NAME)
    except ObjectMissing:
        return None
    path = store.local_path(NAME)
    if path is not None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise StorageFailure(
                f"{path} has secrets, and can be read by others (mode {mode:04o}): run `chmod 600 {path}`"
            )
    try:
        stored = json.loads(data)
        if stored.pop("format") != _FORMAT:
            raise Corruption(f"{NAME}: of a format that this version does not know")
        identity = Identity(**stored)
    except (ValueError, KeyError, TypeError) as error:
        raise Corruption(f"{NAME}: what it says of the cluster cannot be read: {error!r}") from error
    if not all(isinstance(text, str) and text for text in asdict(identity).values()):
        raise Corruption(f"{NAME}: what it says of the cluster cannot be read: it is no text")
    return identity


def _require_no_strangers(store: ObjectStore) -> None:
    """Raises ForeignObjects. What is there for a moment alone is of others who begin at the same time."""
    for tries_left in reversed(range(_LOOKS)):
        # Whose name is lost gets another: nothing that its nodes have depends on it.
        if all(name == NAME for name in store.list("")) or store.list(_MAPS) or identity_of(store) is not None:
            return
        if tries_left:
            time.sleep(_LOOK_S)
    raise ForeignObjects(
        "there are objects in the store, and no cluster: give it a place of its own, an empty folder or prefix"
    )


def make_identity(store: ObjectStore) -> tuple[Identity, bool]:
    """The cluster's, made where there is none yet: then the second is True. Raises as `identity_of`, and ForeignObjects
    where there are objects that are no cluster's."""
    found = identity_of(store)
    if found is not None:
        return found, False
    _require_no_strangers(store)
    made = Identity(
        id=secrets.token_hex(8),
        access_key_id="lutra" + secrets.token_hex(8),
        access_key_secret=secrets.token_urlsafe(32),
        peer_secret=secrets.token_hex(32),
    )
    with _private_files:
        store.put_if_absent(NAME, json.dumps({"format": _FORMAT, **asdict(made)}, indent=2).encode())
    # Another may have been faster, or have been told that this one was.
    found = identity_of(store)
    if found is None:
        raise StorageFailure(f"{NAME} has gone as soon as it was put there")
    return found, found == made
