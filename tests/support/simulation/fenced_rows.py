"""Rows on an object store, fenced as SlateDB's are: a log of objects, each put only where its number is free.

Who opens puts an empty object at the next free number, and has read all before it. So the number that the writer
before would write next is taken, and its write fails, however late it comes; what it was acknowledged is before it.
"""

from __future__ import annotations

from lutra.model.errors import Fenced, StorageFailure
from lutra.objects.store import ObjectStore

ROWS = "rows"


class FencedRows:
    """One opening of a partition's rows."""

    def __init__(self, store: ObjectStore, partition: str, epoch: int, writer: str) -> None:
        """Fences whoever has it open. Raises Fenced where one with a higher epoch has, StorageFailure."""
        self._store, self._folder = store, f"{ROWS}/{partition}"
        self._sign = f"{epoch} {writer}".encode()
        self.rows: list[str] = []
        self._number = 1
        self.is_fenced = False
        self._take_over(epoch)

    def _take_over(self, epoch: int) -> None:
        while True:
            for name in self._store.list(self._folder)[self._number - 1 :]:
                sign, _, row = self._store.get(name).partition(b"\n")
                if int(sign.split()[0]) > epoch:
                    raise Fenced(f"{name} is of a later epoch")
                if row:
                    self.rows.append(row.decode())
                self._number += 1
            if self._put(b""):
                return

    def write(self, row: str) -> None:
        """Durable when it returns. Raises Fenced; StorageFailure where it is not known: nothing may be written then."""
        if self.is_fenced or not self._put(row.encode()):
            self.is_fenced = True
            raise Fenced(f"{self._folder}: another has it open")
        self.rows.append(row)

    def _put(self, row: bytes) -> bool:
        """False where another has the number. Where no answer comes, it looks whether its own is there, as SlateDB."""
        name, data = f"{self._folder}/{self._number:06d}", self._sign + b"\n" + row
        try:
            took = self._store.put_if_absent(name, data) or self._store.get(name) == data
        except StorageFailure:
            took = self._store.put_if_absent(name, data) or self._store.get(name) == data
        self._number += took
        return took
