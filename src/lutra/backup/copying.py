"""Files into chunks. What is at the place already is not copied again, nor, where its identity is known, read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from lutra.backup.marks import Mark
from lutra.backup.parallel import AT_ONCE, for_each
from lutra.backup.place import BackupPlace
from lutra.backup.record import CHUNK_BYTES, Record, StoredFile
from lutra.backup.sources import Source

OnProgress = Callable[[str, int, int | None], None]
"""Called with what is being done, how many bytes of it are done, and how many there are."""


class Copier:
    """Copies for one backup, which may take several tries: what one has copied, the next finds there."""

    def __init__(self, place: BackupPlace, mark: Mark, earlier: Iterable[Record], on_progress: OnProgress) -> None:
        """``earlier``: backups whose files are known by their identities."""
        self.new_bytes = 0
        """That were put."""
        self._place = place
        self._mark = mark
        self._report = on_progress
        self._there = place.chunks()
        self._known = {file.identity: file for record in earlier for file in record.files if file.identity}
        self._lock = threading.Lock()

    def copy(self, sources: Sequence[Source]) -> tuple[StoredFile, ...]:
        """All of ``sources``, in their order. Raises what reading or putting one of them raises."""
        return self._copy(sources, 0, sum(source.size_bytes for source in sources))

    def _copy(self, sources: Sequence[Source], done_bytes: int, total_bytes: int | None) -> tuple[StoredFile, ...]:
        digests: list[list[str]] = []
        jobs: list[tuple[Source, list[str], int]] = []
        for source in sources:
            known = self._known_of(source)
            if known is not None:
                digests.append(list(known.chunks))
                done_bytes += source.size_bytes
                continue
            count = -(-source.size_bytes // CHUNK_BYTES)
            digests.append([""] * count)
            jobs += [(source, digests[-1], number) for number in range(count)]

        def copy_chunk(job: tuple[Source, list[str], int]) -> None:
            nonlocal done_bytes
            source, into, number = job
            offset = number * CHUNK_BYTES
            data = source.read(offset, min(CHUNK_BYTES, source.size_bytes - offset))
            into[number] = digest = hashlib.sha256(data).hexdigest()
            if digest not in self._there:
                self._place.put_chunk(digest, data)
                with self._lock:
                    self.new_bytes += len(data) if digest not in self._there else 0
                    self._there.add(digest)
            self._mark.renew()
            with self._lock:
                done_bytes += len(data)
                self._report("copying", done_bytes, total_bytes)

        for_each(jobs, copy_chunk)
        return tuple(
            StoredFile(source.name, source.size_bytes, source.identity, tuple(chunks))
            for source, chunks in zip(sources, digests, strict=True)
        )

    def copy_all(self, sources: Iterable[Source]) -> list[StoredFile]:
        """As `copy`, of what comes one after the other and may be in memory: few are waited for at a time."""
        if isinstance(sources, Sequence):
            return list(self.copy(sources))
        copied: list[StoredFile] = []
        left = iter(sources)
        done_bytes = 0
        while some := list(islice(left, AT_ONCE)):
            copied += self._copy(some, done_bytes, None)
            done_bytes += sum(source.size_bytes for source in some)
        return copied

    def _known_of(self, source: Source) -> StoredFile | None:
        """As an earlier backup has it, whole."""
        known = self._known.get(source.identity) if source.identity else None
        if known is None or known.size_bytes != source.size_bytes or not self._there.issuperset(known.chunks):
            return None
        return known
