"""The seam: what the rooms above need of an ordered key-value store.

Keys and values are bytes; keys are ordered bytewise and are not empty. Every method may be called from any thread at
any time. Any of them raises `StorageFailure` where the disk or the engine refuses or the store is closed, and
`Corruption` where stored bytes fail their checksum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Protocol

from lutra.kv.batch import WriteBatch

Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Estimate:
    """``is_least``: there are more pairs than were counted, of which no file tells yet."""

    pairs: int
    size_bytes: int
    is_exact: bool
    is_least: bool = False


class Reader(Protocol):
    """Reads."""

    def get(self, key: bytes) -> bytes | None:
        """The value under ``key``, or None."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values under ``keys``, in their order, None where there is none."""

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """The pairs of [begin, end), by key ascending, or descending where ``reverse``.

        Of pairs that change while a store is scanned, either state may be seen; a snapshot has no such pairs. One
        iterator belongs to one thread.
        """


class Snapshot(Reader, Protocol):
    """The store as it was when the snapshot was taken. Close it: it holds memory and old files."""

    def close(self) -> None: ...

    def __enter__(self) -> Snapshot: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class KeyValueStore(Reader, Protocol):
    """Reads, atomic writes, and what it takes to plan with."""

    name: ClassVar[str]
    """Of the engine, as people know it."""

    def snapshot(self) -> Snapshot:
        """The store at this instant."""

    def commit(self, batch: WriteBatch) -> None:
        """Applies ``batch`` as one: on stable storage and visible to every reader when this returns.

        Readers may see it, whole, shortly before: while it is being made durable. Raises `StorageFailure`; the batch is
        then never seen again until the store is opened anew, and may be found, whole, after that: an fsync that failed
        may have reached the disk.
        """

    def size_bytes(self, begin: bytes, end: bytes) -> int:
        """About how many bytes [begin, end) takes; exact where it is small."""

    def estimate(self, begin: bytes, end: bytes, counted_max: int) -> Estimate:
        """About how many pairs [begin, end) has, and their bytes: what it takes is that of ``counted_max`` pairs.

        Of so many, or fewer, it is exact; of more it goes by the engine's own files.
        """

    def split(self, begin: bytes, end: bytes, piece_bytes: int, limit: int) -> list[bytes]:
        """At most ``limit`` keys, ascending, that cut [begin, end) into pieces of about ``piece_bytes``.

        Where the range is large, pieces are no finer than the engine's own files.
        """

    def memory_bytes(self) -> int:
        """About what it takes in memory: of blocks that were read, and of what was written lately."""

    def close(self) -> None:
        """Ends all reads and writes; a second close does nothing."""


def prefix_end(prefix: bytes) -> bytes:
    """The least key after every key that starts with ``prefix``, which must have a byte below 0xFF."""
    kept = prefix.rstrip(b"\xff")
    if not kept:
        raise ValueError("no key is after every key of this prefix")
    return kept[:-1] + bytes((kept[-1] + 1,))
