"""What one backup consists of, as an object says it: whole or damaged (little-endian)::

magic 8 | format version u32 | payload bytes u64 | payload: JSON | crc32c u32 of all before it
"""

from __future__ import annotations

import json
import re
import secrets
import struct
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lutra.kernels.checksum import crc32c
from lutra.model.errors import Corruption, ParameterInvalid, StorageFailure
from lutra.objects.name import is_name

MAGIC: Final = b"LUTRABAK"
FORMAT_VERSION: Final = 1
CHUNK_BYTES: Final = 16 << 20
"""Of all chunks of a file but the last, which has what remains."""

_HEAD: Final = struct.Struct("<8sIQ")
_CHECKSUM: Final = struct.Struct("<I")
_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup of a data directory, whole and in its place. By :meth:`lutra.Database.backup`, :func:`lutra.restore`."""

    id: str
    """What it is called at its place; ids sort by time, to the second."""
    taken: datetime
    """When it was begun, UTC: every write that was acknowledged before is in it."""
    directory: str
    """The data directory it is of."""
    size_bytes: int
    """Of all that it holds."""
    new_bytes: int
    """That were copied for it; the rest was there already, by earlier backups."""
    notes: tuple[str, ...] = ()
    """What there is to know of it: a search index that will be filled anew, say. Mostly nothing."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """``name``: with '/' between its parts, where it is to be in a data directory. ``identity``: whatever has the same
    one has the same bytes, wherever and whenever it is found; "" where nothing tells so. ``chunks``: SHA-256 of each
    piece of ``CHUNK_BYTES``, hexadecimal."""

    name: str
    size_bytes: int
    identity: str
    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """``store``: the id of the store that it is of. ``instances``: of the data directory."""

    backup: Backup
    store: str
    instances: tuple[str, ...]
    files: tuple[StoredFile, ...]

    @property
    def chunks(self) -> set[str]:
        """All that it needs."""
        return {chunk for file in self.files for chunk in file.chunks}

    def to_bytes(self) -> bytes:
        """The stored form."""
        backup = asdict(self.backup) | {"taken": self.backup.taken.isoformat(), "notes": list(self.backup.notes)}
        files = [[file.name, file.size_bytes, file.identity, list(file.chunks)] for file in self.files]
        stored = {"backup": backup, "store": self.store, "instances": list(self.instances), "files": files}
        payload = json.dumps(stored, separators=(",", ":")).encode()
        body = _HEAD.pack(MAGIC, FORMAT_VERSION, len(payload)) + payload
        return body + _CHECKSUM.pack(crc32c(body))

    @classmethod
    def from_bytes(cls, name: str, data: bytes) -> Record:
        """``name``: of the object. Raises Corruption, and StorageFailure where a newer Lutra wrote it."""
        if len(data) < _HEAD.size + _CHECKSUM.size or data[: len(MAGIC)] != MAGIC:
            raise Corruption(f"{name}: not the record of a backup: it is cut short, or something else")
        body = data[: -_CHECKSUM.size]
        if _CHECKSUM.unpack(data[-_CHECKSUM.size :]) != (crc32c(body),):
            raise Corruption(f"{name}: this record of a backup fails its checksum")
        _, version, payload_bytes = _HEAD.unpack_from(body)
        if version > FORMAT_VERSION:
            raise StorageFailure(
                f"{name}: a backup of format version {version}; this Lutra reads up to {FORMAT_VERSION}: use the newer "
                "Lutra that wrote it"
            )
        if len(body) != _HEAD.size + payload_bytes:
            raise Corruption(f"{name}: this record of a backup is of another length")
        try:
            return _read(json.loads(body[_HEAD.size :]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corruption(f"{name}: this record of a backup cannot be read: {error!r}") from error


def _read(stored: dict[str, Any]) -> Record:
    told = stored["backup"]
    backup = Backup(**(told | {"taken": datetime.fromisoformat(told["taken"]), "notes": tuple(told["notes"])}))
    files = tuple(
        StoredFile(_file_name(name), int(size_bytes), str(identity), tuple(map(_digest, chunks)))
        for name, size_bytes, identity, chunks in stored["files"]
    )
    for file in files:
        if len(file.chunks) != -(-file.size_bytes // CHUNK_BYTES):
            raise ValueError(f"{file.name} has {len(file.chunks)} chunks and {file.size_bytes} bytes")
    if len({file.name for file in files}) < len(files):
        raise ValueError("a file is named twice")
    return Record(backup, str(stored["store"]), tuple(map(str, stored["instances"])), files)


def _file_name(text: str) -> str:
    """Parts of a name cannot lead out of the folder that it is put into."""
    if not is_name(text):
        raise ValueError(f"{text!r} is no name of a file")
    return text


def _digest(text: str) -> str:
    if not is_digest(text):
        raise ValueError(f"{text!r} is no digest")
    return text


def is_digest(text: str) -> bool:
    """Whether a chunk may be called so."""
    return _DIGEST.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether a backup may be called so."""
    return _ID.fullmatch(text) is not None


def require_id(text: str) -> str:
    """``text``, where it is an id. Raises ParameterInvalid."""
    if not is_id(text):
        raise ParameterInvalid(f"{text!r} is no id of a backup, such as 20260131T235959Z-0a1b2c3d")
    return text


def new_id(time_us: int) -> tuple[str, datetime]:
    """An id that nobody else has, and the time it begins with."""
    taken = datetime.fromtimestamp(time_us / 1_000_000, UTC)
    return f"{taken:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", taken
