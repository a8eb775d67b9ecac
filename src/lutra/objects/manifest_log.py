"""What there is, said by numbered objects of which the newest counts: each is put only where its number is free.

So of two writers one loses, is fenced, and stops: at its next commit, however long it has slept.

The object of a number (little-endian)::

    magic 8 | format version u32 | number u64 | writer 16 | payload bytes u64 | payload | crc32c u32 of all before it

The writer tells its own manifest from another's where the reply to a put was lost.
"""

from __future__ import annotations

import re
import struct
import threading
import uuid
from collections.abc import Iterable
from typing import Final, NamedTuple

from lutra.kernels.checksum import crc32c
from lutra.model.errors import Corruption, Fenced, ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.name import require_prefix
from lutra.objects.store import ObjectStore

FORMAT_VERSION: Final = 1
MAGIC: Final = b"LUTRAMAN"
NUMBER_MAX: Final = 10**19 - 1

_HEAD: Final = struct.Struct("<8sIQ16sQ")
_CHECKSUM: Final = struct.Struct("<I")
_NUMBER: Final = re.compile(r"0[0-9]{19}")
_LATEST_TRIES: Final = 5
_CLAIM_TRIES: Final = 3


class Manifest(NamedTuple):
    """One numbered state."""

    number: int
    payload: bytes


class ManifestLog:
    """The manifests below one prefix, seen by one writer; thread-safe.

    Every method raises StorageFailure where the store fails.
    """

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        """Reads nothing yet. Raises ParameterInvalid where ``prefix`` is not the name of a folder of objects."""
        if not prefix:
            raise ParameterInvalid("Manifests need a folder of their own.")
        self._store = store
        self._prefix = require_prefix(prefix)
        self._writer = uuid.uuid4().bytes
        self._lock = threading.Lock()
        # Numbers whose put failed, though it may have happened or may happen yet.
        self._unsure: set[int] = set()

    def latest(self) -> Manifest | None:
        """The newest manifest, None where there is none: one list and one get.

        Where others commit and forget so fast that it is gone before it is read, it looks again, five times at most.
        Raises Corruption, naming the object, where its bytes are not what was written.
        """
        for _ in range(_LATEST_TRIES):
            numbers = self.numbers()
            if not numbers:
                return None
            try:
                return self.read(numbers[-1])
            except ObjectMissing:
                continue
        raise StorageFailure(f"{self._prefix}: the newest manifest was gone {_LATEST_TRIES} times before it was read.")

    def numbers(self) -> list[int]:
        """The numbers there are, ascending: one list."""
        return self.numbers_among(self._store.list(self._prefix))

    def numbers_among(self, names: Iterable[str]) -> list[int]:
        """Those of the manifests among ``names``, which a list of the store gave, in their order: no request."""
        folder = self._prefix + "/"
        endings = (name[len(folder) :] for name in names if name.startswith(folder))
        return [int(ending) for ending in endings if _NUMBER.fullmatch(ending)]

    def read(self, number: int) -> Manifest:
        """The manifest of that number. Raises ObjectMissing where there is none, Corruption as `latest`."""
        name = self.name(number)
        return Manifest(number, _decode(name, number, self._store.get(name))[1])

    def commit(self, number: int, payload: bytes) -> int:
        """Makes ``payload`` the newest state, as ``number``, which is one more than the newest known; durable.

        Raises Fenced where another writer has that number: it has taken over, and this one must stop.

        Raises StorageFailure where it is not known whether it was committed. Commit again then, the same payload or a
        later one, and until that succeeds take the manifest for there: delete nothing it names. Where it turns out
        to be there, and the payload is another, that is committed as the number after it.

        Returns the number committed: ``number``, but for that case. One put and one list.
        """
        with self._lock:
            while not self._put(number, payload):
                number += 1
            # Old numbers are free again once they are forgotten, so that a number was free says only that nobody has
            # it now. There is always a newest, which is not forgotten: where there is none newer, there never was.
            newest = max(self.numbers(), default=number)
            if newest > number:
                raise Fenced(f"{self.name(newest)}: another writer has gone on to this number.")
            self._unsure.clear()
            return number

    def _put(self, number: int, payload: bytes) -> bool:
        """False where the number has gone to an earlier payload of this writer, whose put had seemed to fail."""
        name = self.name(number)
        data = _encode(number, self._writer, payload)
        failure: StorageFailure | None = None
        was_unsure = number in self._unsure
        # Whatever comes between the request and a clear answer leaves it open whether it is there.
        self._unsure.add(number)
        try:
            if self._store.put_if_absent(name, data):
                return True
        except StorageFailure as error:
            failure = error
        try:
            there = self._store.get(name)
        except ObjectMissing as error:
            if failure is not None:
                raise failure from None
            raise Fenced(f"{name}: another writer has taken this number, and gone on from it.") from error
        except StorageFailure as error:
            raise failure or error from None
        if there == data:
            return True
        if was_unsure and _decode(name, number, there)[0] == self._writer:
            return False
        raise Fenced(f"{name}: another writer has taken this number.")

    def claim(self, number: int, payload: bytes, claimant: bytes, kept: int) -> bool:
        """As `commit`, for a log that many write in turn and none owns, whose newest ``kept`` are never forgotten.

        ``claimant``: 16 bytes that no other claim ever has: by them it knows its own where the reply to a put was lost.
        ``number`` is one more than that of the state from which ``payload`` was made.

        True: it was the newest state, though others may have gone on from it by now. False: another has that number:
        nothing was committed.

        Raises StorageFailure where that is not known: the store failed, or as many as ``kept`` have gone on, so that
        the number may have been free only because it was forgotten. One put and one list.
        """
        if not self.put(number, payload, claimant):
            return False
        ahead = self.numbers()[-1] - number
        if ahead >= kept:
            raise StorageFailure(f"{self.name(number)}: {ahead} others went on; it is not known whether it was first.")
        return True

    def put(self, number: int, payload: bytes, claimant: bytes) -> bool:
        """The half of `claim` that puts where the number is free, which says nothing yet: it may have been forgotten.

        Who has listed the numbers since, and found that this is the newest, knows that it is the state. False: another
        has the number, or had it. Raises StorageFailure where it is not known whether it was put, or may be yet: who
        puts the same again, by the same claimant, is told. One put; where its reply is lost, a get, and so again.
        """
        name = self.name(number)
        data = _encode(number, claimant, payload)
        failure: StorageFailure | None = None
        for _ in range(_CLAIM_TRIES):
            try:
                if self._store.put_if_absent(name, data):
                    return True
            except StorageFailure as error:
                failure = error
            try:
                return self._store.get(name) == data
            except ObjectMissing:
                if failure is None:
                    return False  # others have gone on so far that it is forgotten
            except StorageFailure as error:
                failure = failure or error
        raise failure or StorageFailure(f"{name}: it is not known who has this number.")

    def forget(self, before: int) -> None:
        """Deletes the manifests of lower numbers than ``before``, but never the newest: one list, and the deletes."""
        for number in self.numbers()[:-1]:
            if number < before:
                self._store.delete(self.name(number))

    def name(self, number: int) -> str:
        """The object of a number, from 1. Raises ParameterInvalid."""
        if not 1 <= number <= NUMBER_MAX:
            raise ParameterInvalid(f"Not the number of a manifest: {number}")
        return f"{self._prefix}/{number:020d}"


def _encode(number: int, writer: bytes, payload: bytes) -> bytes:
    body = _HEAD.pack(MAGIC, FORMAT_VERSION, number, writer, len(payload)) + payload
    return body + _CHECKSUM.pack(crc32c(body))


def _decode(name: str, number: int, data: bytes) -> tuple[bytes, bytes]:
    """The writer and the payload. Raises Corruption, and StorageFailure where a newer Lutra wrote it."""
    if len(data) < _HEAD.size + _CHECKSUM.size or data[: len(MAGIC)] != MAGIC:
        raise Corruption(f"{name}: not a manifest: it is cut short, or something else.")
    body = data[: -_CHECKSUM.size]
    if _CHECKSUM.unpack(data[-_CHECKSUM.size :]) != (crc32c(body),):
        raise Corruption(f"{name}: this manifest fails its checksum.")
    _, version, written_number, writer, payload_bytes = _HEAD.unpack_from(body)
    if version > FORMAT_VERSION:
        raise StorageFailure(
            f"{name}: a manifest of format version {version}; this Lutra reads up to {FORMAT_VERSION}."
        )
    if written_number != number or len(body) != _HEAD.size + payload_bytes:
        raise Corruption(f"{name}: this manifest is that of another number, or of another length.")
    return writer, body[_HEAD.size :]
