"""Who needs objects that were made by another partition: one object for each borrower of each lender.

::

    borrowed/LENDER/BORROWER      the names of the objects that its indexes need

A borrower is one of a split's children, and the lender a partition that its rows once were in. What is borrowed is
written down before the map says that the lender is retired, and only ever becomes less. So who wants to delete objects
of a retired lender needs to know what is written down, and nothing of who is open where. What rows need, SlateDB itself
writes down (`lutra.kv.slatedb.clone`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from typing import Final

from lutra.cluster.host import place_of
from lutra.model.errors import Corruption, ObjectMissing
from lutra.objects.store import ObjectStore

FOLDER: Final = "borrowed/"
_FORMAT: Final = 1


def by_lender(objects: Iterable[str]) -> dict[str, set[str]]:
    """``objects`` by the partitions in whose places they are. Raises Corruption."""
    found: dict[str, set[str]] = {}
    for name in objects:
        found.setdefault(lender_of(name), set()).add(name)
    return found


def lender_of(name: str) -> str:
    """The partition in whose place an object is."""
    folder, partition_id, _ = name.split("/", 2)
    if f"{folder}/{partition_id}/" != place_of(partition_id):
        raise Corruption(f"{name} is no object of a partition")
    return partition_id


class Loans:
    """What is written down in one cluster's store. Every method raises StorageFailure where that fails."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def note(self, lender: str, borrower: str, objects: Set[str]) -> None:
        """Writes down what the borrower needs, in place of what was written; where that is nothing, nothing is left."""
        if objects:
            stored = {"format": _FORMAT, "objects": sorted(objects)}
            self._store.put(f"{FOLDER}{lender}/{borrower}", json.dumps(stored).encode())
        else:
            self._store.delete(f"{FOLDER}{lender}/{borrower}")

    def of(self, lender: str, borrower: str) -> set[str]:
        """What is written down. Raises Corruption where it cannot be read."""
        name = f"{FOLDER}{lender}/{borrower}"
        try:
            stored = json.loads(self._store.get(name))
            if stored["format"] != _FORMAT:
                raise Corruption(f"{name} has format {stored['format']!r}; this version reads {_FORMAT}")
            return set(map(str, stored["objects"]))
        except ObjectMissing:
            return set()
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"{name} cannot be read: {error!r}") from error

    def all(self) -> dict[str, set[str]]:
        """By lender: who borrows of it. One list."""
        found: dict[str, set[str]] = {}
        for name in self._store.list(FOLDER):
            _, lender, borrower = name.split("/")
            found.setdefault(lender, set()).add(borrower)
        return found
