"""Whose data a store holds, and the line of openings by which copies of one store are told apart.

::

    m/store                 the store's id: 16 random bytes, made with the store
    m/opening <number>      one opening: its id, 16 random bytes, and the last sequence when it began

A sequence alone says little about an index: a copy of the directory, or a backup put back, gives out the same sequences
again for other changes. So whoever writes down how far it has come writes the opening beside it (`Origin`). A state of
opening *o* at sequence *s* is of this store's past where *o* is one of its openings, and *s* no later than the sequence
at which the next one began. What a copy did after it was copied was done in an opening that this store does not have,
or beyond the sequence at which its own next opening began.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass
from typing import Final

from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model.errors import Corruption
from lutra.tables import keyspace

OPENINGS_MAX: Final = 10_000
"""So many are kept: half a day's, where a server is started again every 5 s. What an earlier one left counts as
unknown, and is made anew."""

_ID_BYTES: Final = 16
_OPENING: Final = struct.Struct(">16sQ")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote something down: the store, and which of its openings, as hex. Empty: a Lutra that knew of neither."""

    store: str = ""
    opening: str = ""


NO_ORIGIN: Final = Origin()


@dataclass(frozen=True, slots=True)
class Opening:
    """``since``: the last sequence when it began."""

    number: int
    id: str
    since: int


class History:
    """The id and the openings of one store. It changes only by ``begin``."""

    def __init__(self, store: KeyValueStore) -> None:
        """Reads, and changes nothing. Raises StorageFailure, Corruption."""
        self._store = store
        stored_id = store.get(keyspace.STORE_KEY)
        if stored_id is not None and len(stored_id) != _ID_BYTES:
            raise Corruption(f"the id of the store has {len(stored_id)} bytes")
        self.store_id = "" if stored_id is None else stored_id.hex()
        """Empty where the store has none yet: an older Lutra made it."""
        self.openings: tuple[Opening, ...] = tuple(
            _opening(key, value)
            for key, value in store.scan(keyspace.OPENINGS_PREFIX, prefix_end(keyspace.OPENINGS_PREFIX))
        )

    @property
    def origin(self) -> Origin:
        """Of what is written down now."""
        return Origin(self.store_id, self.openings[-1].id) if self.openings else NO_ORIGIN

    def begin(self, last_sequence: int) -> None:
        """Notes, durably, that the store is opened to be changed, and gives it an id where it has none.

        Raises StorageFailure.
        """
        number = self.openings[-1].number + 1 if self.openings else 1
        opening = Opening(number, secrets.token_hex(_ID_BYTES), last_sequence)
        store_id = self.store_id or secrets.token_hex(_ID_BYTES)
        batch = WriteBatch()
        batch.put(keyspace.FORMAT_KEY, keyspace.FORMAT)
        batch.put(keyspace.STORE_KEY, bytes.fromhex(store_id))
        batch.put(keyspace.opening_key(number), _OPENING.pack(bytes.fromhex(opening.id), last_sequence))
        kept = (*self.openings, opening)[-OPENINGS_MAX:]
        for old in self.openings:
            if old.number < kept[0].number:
                batch.delete(keyspace.opening_key(old.number))
        self._store.commit(batch)
        self.store_id, self.openings = store_id, kept

    def knows(self, opening: str) -> bool:
        """Whether that is one of this store's openings."""
        return any(known.id == opening for known in self.openings)

    def why_not(self, origin: Origin, sequence: int, last_sequence: int) -> str | None:
        """Why what ``origin`` wrote down at ``sequence`` is not of this store's past; None where it is.

        ``last_sequence``: of this store, now.
        """
        if origin.store not in ("", self.store_id):
            return f"another store ({origin.store}) wrote it"
        end = self._end_of(origin.opening, last_sequence)
        if end is None:
            return "a copy of this store wrote it, or this one in a time that a backup took back"
        if sequence > end:
            return f"it knows changes up to {sequence}, but of that time this store has only those up to {end}"
        return None

    def _end_of(self, opening: str, last_sequence: int) -> int | None:
        """The last sequence given out in ``opening``, None where that is none of this store's."""
        ends = [*(later.since for later in self.openings), last_sequence]
        if not opening:  # before there were openings
            return ends[0] if not self.openings or self.openings[0].number == 1 else None
        for known, end in zip(self.openings, ends[1:], strict=True):
            if known.id == opening:
                return end
        return None


def _opening(key: bytes, value: bytes) -> Opening:
    if len(value) != _OPENING.size:
        raise Corruption("an opening of the store cannot be read")
    opening, since = _OPENING.unpack(value)
    return Opening(keyspace.unpack(key[len(keyspace.OPENINGS_PREFIX) :]), opening.hex(), since)
