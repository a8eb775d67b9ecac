"""Clones of a database, which share its tables: made in milliseconds, with no copy, however much it holds.

What may be deleted when:

- A clone reads tables of the database that it was made of, its *parent*, and of those that the parent itself still
  reads of its own. It pins them there by checkpoints that never expire. While `parents_of` names a database, none of
  that one's objects may be deleted by hand.
- The parent may be open, written to, closed, or left alone meanwhile: its own tidying up spares what is pinned.
- A clone that is open lets go of a table when it has merged it into one of its own: in the long run by itself, soon
  where `lutra.kv.slatedb.store.SlateStore.rewrite` is asked. Its collector, which runs every two minutes, then removes
  the checkpoint; a merge itself keeps what it has read for three minutes more. So a parent is free about five minutes
  after the last of its clones was rewritten, where those are open all the time (`is_needed` tells).
- `delete_database` is the way to delete one, parent or clone: it refuses while a clone needs it, and has a clone's own
  parents forget it. It must be nobody's to write by then, and nobody may be cloning it.
"""

from __future__ import annotations

import os
from typing import Any

from lutra.kv.slatedb.address import SlateAddress
from lutra.kv.slatedb.calls import WAIT_S, call
from lutra.kv.slatedb.failures import failure
from lutra.kv.slatedb.library import library
from lutra.kv.slatedb.tables import admin_of, newest_manifest
from lutra.model.errors import ParameterInvalid, StorageFailure


def clone_store(address: str | os.PathLike[str], new_address: str | os.PathLike[str]) -> None:
    """Makes a database at ``new_address`` of the tables that the one at ``address`` has: what is only in its log is
    not in the clone.

    So the parent has to be flushed before, or closed: `lutra.kv.slatedb.store.SlateStore.clone_to` flushes. It may be
    open and written to. What is hidden in it by a record is so in the clone; what was hidden as it was opened is shown.
    To do it again comes to the same, also after a crash in the midst of it: the clone is as of the first time.

    Raises ParameterInvalid where the two are not in the same bucket, or in the same folder; StorageFailure where there
    is no database at ``address``, or another one at ``new_address``; Corruption where it is damaged.
    """
    parent, clone = SlateAddress.of(address), SlateAddress.of(new_address)
    if not parent.is_beside(clone) or parent.path == clone.path:
        raise ParameterInvalid(f"{clone} cannot be a clone of {parent}: it has to be beside it")
    objects = parent.object_store()
    if _manifest(parent, objects) is None:
        raise StorageFailure(f"there is no database at {parent} to clone")
    made = _manifest(clone, objects)
    if made is not None and all(external.path != parent.path for external in made.external_dbs):
        raise StorageFailure(f"{clone} cannot be made a clone of {parent}: there is another database")
    source = library().CloneSourceSpec(path=parent.path, checkpoint=None, projection_range=None)
    try:
        builder = admin_of(clone, objects).create_clone_builder_from_source(source)
        call(builder.build(), wait_s=WAIT_S)
    except Exception as error:
        raise failure(parent, "clone", error) from error


def parents_of(address: str | os.PathLike[str]) -> list[str]:
    """The addresses of databases whose tables the one at ``address`` still reads, or may; none where it is no clone.

    Raises ParameterInvalid, StorageFailure, Corruption.
    """
    place = SlateAddress.of(address)
    manifest = _manifest(place, place.object_store())
    if manifest is None:
        raise StorageFailure(f"there is no database at {place}")
    return sorted({str(SlateAddress(place.bucket, place.folder, one.path)) for one in manifest.external_dbs})


def is_needed(address: str | os.PathLike[str]) -> bool:
    """Whether a clone still reads tables of the database at ``address``, or may. False where there is no database.

    Raises ParameterInvalid, StorageFailure, Corruption.
    """
    place = SlateAddress.of(address)
    manifest = _manifest(place, place.object_store())
    return manifest is not None and _is_pinned(manifest)


def delete_database(address: str | os.PathLike[str]) -> None:
    """Deletes all objects of the database at ``address``; nothing where there is none. May be done again.

    Raises StorageFailure where a clone needs it, or what is there is no database; ParameterInvalid, Corruption.
    """
    place = SlateAddress.of(address)
    objects = place.object_store()
    manifest = _manifest(place, objects)
    if manifest is not None and _is_pinned(manifest):
        raise StorageFailure(f"the database at {place} cannot be deleted: one that was cloned from it needs its tables")
    try:
        call(admin_of(place, objects).delete_db(True), wait_s=10 * WAIT_S)
    except Exception as error:
        if manifest is None and isinstance(error, library().Error.Data):
            raise StorageFailure(f"nothing was deleted at {place}: there are objects, but no database") from error
        raise failure(place, "delete", error) from error


def _manifest(place: SlateAddress, objects: Any) -> Any | None:
    try:
        return newest_manifest(place, objects, WAIT_S)
    except Exception as error:
        raise failure(place, "read", error) from error


def _is_pinned(manifest: Any) -> bool:
    """Merges and readers pin for a time, clones for good."""
    return any(checkpoint.expire_time_secs is None for checkpoint in manifest.checkpoints)
