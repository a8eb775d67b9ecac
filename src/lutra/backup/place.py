"""Where backups are: a folder, or ``s3://bucket/prefix``, that holds nothing else.

::

    PLACE/lutra-backups     what this place is
    PLACE/backups/ID        a backup (`lutra.backup.record`), put when all that it needs is there
    PLACE/chunks/DIGEST     pieces of files, by their SHA-256, each once for however many backups
    PLACE/running/ID        a backup that is being made
    PLACE/pruning/ID        somebody looks for chunks that nothing needs (`lutra.backup.marks`)

A backup is deleted by deleting its record, and then the chunks that no record names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lutra.backup.record import Record, is_digest, is_id, require_id
from lutra.model.errors import Corruption, LutraError, ObjectMissing, ObjectNotExist, ParameterInvalid, StorageFailure
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore

HEADER: Final = "lutra-backups"
BACKUPS: Final = "backups/"
CHUNKS: Final = "chunks/"
_FORMAT: Final = 1


class BackupPlace:
    """Backups at one place. Every method raises StorageFailure where the place fails."""

    def __init__(self, address: str, store: ObjectStore) -> None:
        """Use `to_read` or `to_write`."""
        self.address = address
        self.store = store

    @classmethod
    def to_read(cls, address: str | os.PathLike[str]) -> BackupPlace:
        """Changes nothing. Raises StorageFailure where there are no backups; ParameterInvalid, Corruption."""
        text = os.fspath(address)
        place = cls(text, open_store(text, is_read_only=True))
        if not place._is_known():
            raise StorageFailure(f"there are no backups at {text}")
        return place

    @classmethod
    def to_write(cls, address: str | os.PathLike[str], *, may_make: bool = True) -> BackupPlace:
        """Made where there is nothing. Raises ParameterInvalid where there is something else; Corruption."""
        text = os.fspath(address)
        looked_at = cls(text, open_store(text, is_read_only=True))
        is_known = looked_at._is_known()
        if not is_known and not may_make:
            raise StorageFailure(f"there are no backups at {text}")
        if not is_known and (others := looked_at.store.list("")):
            raise ParameterInvalid(
                f"{text} holds other things ({others[0]} for one): give backups a folder, or a prefix, of their own"
            )
        place = cls(text, open_store(text, probe=False))
        if not is_known:
            place.store.put_if_absent(HEADER, json.dumps({"format": _FORMAT}).encode())
        return place

    def _is_known(self) -> bool:
        try:
            stored: Any = json.loads(self.store.get(HEADER))
            version = int(stored["format"])
        except ObjectMissing:
            return False
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"{HEADER} at {self.address} cannot be read: {error!r}") from error
        if version > _FORMAT:
            raise StorageFailure(
                f"backups at {self.address} are of format version {version}; this Lutra reads up to {_FORMAT}"
            )
        return True

    # --- backups ------------------------------------------------------------------------------------------------

    def ids(self) -> list[str]:
        """Of all backups, the oldest first, to the second."""
        names = (name.removeprefix(BACKUPS) for name in self.store.list(BACKUPS))
        return sorted(name for name in names if is_id(name))

    def record(self, id: str) -> Record:
        """Raises ObjectNotExist where there is no such backup; Corruption, ParameterInvalid."""
        name = BACKUPS + require_id(id)
        try:
            record = Record.from_bytes(name, self.store.get(name))
        except ObjectMissing:
            raise ObjectNotExist(f"there is no backup {id} at {self.address}") from None
        if record.backup.id != id:
            raise Corruption(f"{name}: this is the record of backup {record.backup.id}")
        return record

    def records(self) -> Iterator[tuple[str, Record | LutraError]]:
        """All, the oldest first, by id; in the place of one that cannot be read, why not."""
        found: list[tuple[str, Record | LutraError]] = []
        for id in self.ids():
            try:
                found.append((id, self.record(id)))
            except ObjectNotExist:  # deleted meanwhile
                continue
            except (Corruption, StorageFailure) as error:
                found.append((id, error))
        yield from sorted(found, key=_by_time)

    def latest(self, count: int) -> list[Record]:
        """The newest ones that can be read, ``count`` at most."""
        found: list[Record] = []
        for id in reversed(self.ids()):
            if len(found) == count:
                break
            with contextlib.suppress(ObjectNotExist, Corruption, StorageFailure):
                found.append(self.record(id))
        return found

    def newest(self) -> Record:
        """Raises ObjectNotExist where there is none; ParameterInvalid where there are those of several stores; and
        Corruption where it is damaged, as the one before is not what was asked for."""
        found = list(self.records())
        if not found:
            raise ObjectNotExist(f"there is no backup at {self.address}")
        stores = {record.store for _, record in found if isinstance(record, Record)}
        if len(stores) > 1:
            raise ParameterInvalid(
                f"there are backups of {len(stores)} databases at {self.address}: say which is meant"
            )
        newest = found[-1][1]
        if isinstance(newest, LutraError):
            raise newest
        return newest

    def put_record(self, record: Record) -> None:
        self.store.put(BACKUPS + record.backup.id, record.to_bytes())

    def delete_record(self, id: str) -> None:
        self.store.delete(BACKUPS + require_id(id))

    # --- chunks -------------------------------------------------------------------------------------------------

    def chunks(self) -> set[str]:
        """The digests of all that there are: one list."""
        names = (name.removeprefix(CHUNKS) for name in self.store.list(CHUNKS))
        return {name for name in names if is_digest(name)}

    def put_chunk(self, digest: str, data: bytes) -> None:
        self.store.put(CHUNKS + digest, data)

    def chunk(self, digest: str) -> bytes:
        """Raises Corruption, naming the object, where it is not what was written, or is gone."""
        name = CHUNKS + digest
        try:
            data = self.store.get(name)
        except ObjectMissing:
            raise Corruption(f"{name} at {self.address} is missing") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise Corruption(f"{name} at {self.address} is damaged: its bytes are not those of its name")
        return data

    def delete_chunks(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self.store.delete(CHUNKS + digest)


def _by_time(found: tuple[str, Record | LutraError]) -> tuple[str, float]:
    """One that cannot be read comes last of its second."""
    id, record = found
    return id.partition("-")[0], record.backup.taken.timestamp() if isinstance(record, Record) else float("inf")
