"""The seam: what the rooms above need of an object store.

An object is bytes under a name (`lutra.objects.name`), whole or absent at every instant. A name is never the folder of
another: with ``a/b`` there, ``a`` is not put. Every method may be called from any thread at any time and raises

- ParameterInvalid: that is no name, or no range;
- ObjectMissing (a StorageFailure): there is no object of that name;
- StorageFailure, naming the object: the disk, the store or the way to it failed. **A write that failed so may have
  happened, or may happen yet**: who needs to know reads again, as `lutra.objects.manifest_log` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lutra.objects.ranges import Range
from lutra.objects.request_counters import RequestCounters


class ObjectStore(Protocol):
    """Objects by name."""

    def put(self, name: str, data: bytes) -> None:
        """Stores ``data``, in the place of what was there. Durable when it returns."""

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """Stores ``data`` where there is nothing; of many who try at once, one wins. Durable where it returns True.

        False: an object of that name is there. A remote store's client repeats what seemed to fail, so it may be this
        very call that put it: who must know whose it is writes that into the bytes.
        """

    def put_file(self, name: str, path: Path) -> None:
        """Moves a finished local file in: stored as ``name``, in the place of what was there, and gone from ``path``.

        Durable when it returns. Where it fails the file stays, unless it is the object by then.
        """

    def get(self, name: str) -> bytes:
        """The whole object."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from byte ``offset``; StorageFailure where the object ends before."""

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of each ``(offset, length)``, in their order, as `read`: in few requests, several at once."""

    def size(self, name: str) -> int:
        """Bytes of the object."""

    def list(self, prefix: str) -> list[str]:
        """The names of the objects in the folder ``prefix`` and below, ascending; of all where it is empty.

        Of objects that come or go meanwhile, either may be seen.
        """

    def delete(self, name: str) -> None:
        """Removes the object; one that is absent is fine. It may be back after a power failure."""

    def local_path(self, name: str) -> Path | None:
        """Where the object is, or would be, a local file to read from; None where the store is remote."""

    @property
    def requests(self) -> RequestCounters:
        """What was asked of this store since it was opened."""
