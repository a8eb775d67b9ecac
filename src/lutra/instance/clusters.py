"""Whether a place is a cluster's: no data directory may have its rows or its objects there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from lutra.model.errors import ForeignObjects, ObjectMissing, StorageFailure
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore

NAME: Final = "cluster"
MAP: Final = "map"
"""An object, and a folder of them, that the store of a cluster has (`lutra.cluster`), and no place of a data directory.
"""


def require_no_cluster(place: str) -> None:
    """Raises ForeignObjects where ``place`` is the store of a cluster, or within one; StorageFailure.

    A head for it and for each folder above it, where there is none.
    """
    cluster = place if _is_cluster(open_store(place, is_read_only=True)) else None
    for above in () if cluster else _above(place):
        with suppress(StorageFailure):  # who may use the one need not be let into the other
            if _is_cluster(open_store(above, is_read_only=True)):
                cluster = above
                break
    if cluster is not None:
        what = "is" if cluster == place else f"is within {cluster}, which is"
        raise ForeignObjects(
            f"{place} {what} the store of a cluster: `lutra node --store {cluster}` serves that. Nothing was changed "
            "there: give this data directory a place of its own (--objects, --rows; objects=, rows= in Python)"
        )


def _is_cluster(objects: ObjectStore) -> bool:
    try:
        objects.size(NAME)
    except ObjectMissing:
        return False
    return bool(objects.list(MAP))


def _above(place: str) -> Iterator[str]:
    """The folders that a place is in, from the innermost on; for a bucket's, up to the bucket."""
    if "://" not in place:
        yield from map(str, PurePosixPath(os.path.abspath(place)).parents)
        return
    parts = urlsplit(place.rstrip("/"))
    for folder in PurePosixPath(parts.path).parents:
        yield f"{parts.scheme}://{parts.netloc}{folder}"
