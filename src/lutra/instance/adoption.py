"""Taking over the place of objects that another store has, for a data directory that nobody serves."""

from __future__ import annotations

from lutra.instance.clusters import require_no_cluster
from lutra.instance.stopped import StoppedDirectory
from lutra.model.errors import Corruption
from lutra.objects.opening import open_store
from lutra.objects.owner import Owner, owner_of


def adopt_objects(directory: StoppedDirectory) -> tuple[Owner, Owner | None]:
    """Makes ``directory``'s store the owner of the place of its objects. Returns the owner, and who was it before.

    A store that had it finds out at its next manifest, and neither writes nor deletes there any more. Objects of
    indexes that ``directory`` (open to be mended) does not have stay as they are. Nothing is done where the place is
    its own already.

    Raises StorageFailure where the place cannot be written to, or is not fit; ForeignObjects where it is a cluster's;
    Fenced where others take it all the time.
    """
    history = directory.space.changelog.history
    try:
        before = owner_of(directory.objects)
    except Corruption:
        before = None
    if before is not None and before.store == history.store_id:
        return before, before
    require_no_cluster(directory.address)
    objects = open_store(directory.address)
    directory.space.changelog.begin()
    claim = directory.place.claim(objects)
    claim.seize()
    return claim.owner, before
