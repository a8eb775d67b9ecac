"""The place of the objects of a data directory's search indexes: whose it is, and taking it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.catalog.folders import index_folders, require_no_strangers
from lutra.index.lsm.storage import prefix_of
from lutra.instance.clusters import require_no_cluster
from lutra.model.clock import Clock
from lutra.model.errors import Corruption, ForeignObjects, StorageFailure
from lutra.objects.owner import Claim, Owner, owner_of
from lutra.objects.store import ObjectStore
from lutra.tables.history import History

_ADVICE: Final = (
    "Nothing was changed there. Give this data directory a place of its own (--objects, or objects= in Python); or, "
    "where the other store is no more or is to lose the place, run `lutra objects adopt`"
)

_log = logging.getLogger(__name__)


class Place:
    """Where a data directory's search indexes have their objects. Makes and changes nothing but by a `Claim`."""

    def __init__(
        self,
        address: str,
        directory: Path,
        history: History,
        indexes: IndexCatalog,
        clock: Clock,
        folder: str = "",
    ) -> None:
        """``address``: as `lutra.objects.opening.open_store` takes it. ``folder``: the part of it that the place is, as
        `lutra.objects.owner.owner_of` takes it."""
        self.address = address
        self._directory = directory
        self._history = history
        self._indexes = indexes
        self._clock = clock
        self._folder = folder

    def examine(self, objects: ObjectStore) -> Owner | None:
        """Who has the place. Raises ForeignObjects where that is another store; StorageFailure, Corruption."""
        with self._telling_of_damage():
            owner = owner_of(objects, self._folder)
        self._judge(objects, owner)
        return owner

    def taken(self, objects: ObjectStore) -> Claim:
        """Takes the place, for as long as nobody else does.

        Where it is out of reach, the claim tries again when it is needed. Raises ForeignObjects, Corruption, Fenced.
        """
        claim = self.claim(objects)
        with self._telling_of_damage():
            try:
                claim.take()
            except StorageFailure as error:
                _log.warning("whose the objects at %s are is not known yet: %s", self.address, error)
        return claim

    def claim(self, objects: ObjectStore) -> Claim:
        """The claim of this opening of the store (`lutra.tables.history.History.begin`), not taken yet."""
        origin = self._history.origin
        owner = Owner(
            store=origin.store,
            opening=origin.opening,
            directory=os.path.abspath(self._directory),
            host=socket.gethostname(),
            time_us=self._clock.now_us(),
        )

        def judge(before: Owner | None) -> None:
            self._judge(objects, before)
            self._tell_of_copy(before)

        return Claim(objects, owner, judge, self._folder)

    @contextmanager
    def _telling_of_damage(self) -> Iterator[None]:
        try:
            yield
        except Corruption as error:
            raise Corruption(
                f"{str(error).removesuffix('.')}. It says whose the objects at {self.address} are: where they are this "
                "data directory's, `lutra objects adopt` writes it anew."
            ) from error

    def _judge(self, objects: ObjectStore, owner: Owner | None) -> None:
        """Raises ForeignObjects where the place is not this store's to take from ``owner``."""
        is_own = owner is not None and owner.store == self._history.store_id
        if not is_own and not self._folder:  # in a folder of their store partitions of a cluster have theirs
            require_no_cluster(self.address)
        try:
            if owner is None:
                folders = index_folders(objects, place=self._folder)
                require_no_strangers(folders, self._history.store_id, self._prefixes(), self.address)
            elif not is_own:
                raise ForeignObjects(f"the objects at {self.address} belong to another store: {owner}")
        except ForeignObjects as error:
            raise ForeignObjects(f"{error}. {_ADVICE}") from None

    def _tell_of_copy(self, owner: Owner | None) -> None:
        if owner is not None and not self._history.knows(owner.opening):
            _log.warning(
                "a copy of this data directory, or this one before a backup was put back, used the objects at %s last: "
                "%s. What it indexed meanwhile is filled anew.",
                self.address,
                owner,
            )

    def _prefixes(self) -> Iterable[str]:
        """Of the indexes there are, and of those that were deleted."""
        there_are = [one for of in self._indexes.all() for one in of.generations]
        return map(prefix_of, [*there_are, *self._indexes.deleted()])
