"""A bucket of S3, or of a server that speaks like it, as an object store, through obstore."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import S3Store as Bucket

from lutra.kernels.daemons import DaemonExecutor
from lutra.kernels.s3_credentials import require_credentials
from lutra.model.errors import ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.name import is_name, require_name, require_prefix
from lutra.objects.ranges import Range, join_ranges, pick_range, require_ranges
from lutra.objects.request_counters import RequestCounter, RequestCounters

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Config

PART_BYTES: Final = 8 << 20
"""Of uploads and of long reads: 10,000 parts are at most allowed, so an object can have 80 GB."""

GAP_BYTES: Final = 64 << 10
"""Ranges so near are read as one: at 100 MB/s that takes less than a millisecond, another request some 20."""

_LIST_PAGE: Final = 1_000
_UPLOADS_AT_ONCE: Final = 4
_ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class S3Store:
    """An `ObjectStore` over ``s3://bucket/prefix``.

    Credentials, region, endpoint and the rest come from the usual ``AWS_*`` variables, where not given here. What fails
    for a reason that may pass is repeated by obstore with growing pauses, within bounds of number and time; so a
    request ends after at most ``retry_for_s + timeout_s``.

    A long upload that is broken off leaves parts that no list shows: give the bucket a rule to abort such uploads.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        timeout_s: float = 30.0,
        connect_timeout_s: float = 5.0,
        retries_max: int = 5,
        retry_for_s: float = 60.0,
        reads_at_once: int = 32,
        gap_bytes: int = GAP_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        """Asks the server nothing yet.

        :param timeout_s: for one attempt, its body included.
        :param retries_max: attempts after the first.
        :param reads_at_once: of one `read_many`. Each has its own, so that one that stalls holds up no other.
        :param gap_bytes: ranges of one `read_many` at most so far apart are read as one.
        :param part_bytes: of uploads and of long reads; S3 wants at least 5 MiB.
        :raises ParameterInvalid: that is no such URL, there are no credentials (`lutra.kernels.s3_credentials`), or
            obstore does not take the settings.
        """
        bucket, self._prefix = _bucket_and_prefix(url)
        require_credentials(url, access_key_id, secret_access_key)
        self.url = url
        self._gap_bytes, self._part_bytes = gap_bytes, part_bytes
        self._retries_max = retries_max
        self._requests = RequestCounter()
        self._reads_at_once = reads_at_once
        self._readers = DaemonExecutor("lutra-s3-read")
        # Not every server that speaks S3 has the request that deletes many.
        config: S3Config = {"disable_bulk_delete": True}
        if endpoint is not None:
            config["endpoint"] = endpoint
        if region is not None:
            config["region"] = region
        if access_key_id is not None:
            config["access_key_id"] = access_key_id
        if secret_access_key is not None:
            config["secret_access_key"] = secret_access_key
        try:
            self._bucket = Bucket(
                bucket,
                prefix=self._prefix or None,
                config=config,
                client_options={
                    "timeout": timedelta(seconds=timeout_s),
                    "connect_timeout": timedelta(seconds=connect_timeout_s),
                    "allow_http": _endpoint(endpoint).startswith("http://"),
                },
                retry_config={
                    "max_retries": retries_max,
                    "retry_timeout": timedelta(seconds=retry_for_s),
                    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=5)},
                },
            )
        except (BaseError, ValueError) as error:
            raise ParameterInvalid(f"{url}: {_reason(error)}") from error

    def put(self, name: str, data: bytes) -> None:
        require_name(name)
        self._count_put(len(data))
        with self._failing(name):
            obstore.put(self._bucket, name, data, chunk_size=self._part_bytes, max_concurrency=_UPLOADS_AT_ONCE)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        require_name(name)
        self._requests.add(puts=1, written_bytes=len(data))
        with self._failing(name):
            try:
                obstore.put(self._bucket, name, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def put_file(self, name: str, path: Path) -> None:
        require_name(name)
        with self._failing(name):
            self._count_put(path.stat().st_size)
            obstore.put(self._bucket, name, path, chunk_size=self._part_bytes, max_concurrency=_UPLOADS_AT_ONCE)
            path.unlink()

    def get(self, name: str) -> bytes:
        require_name(name)
        self._requests.add(gets=1)
        with self._reading(name):
            data = obstore.get(self._bucket, name).bytes().to_bytes()
        self._requests.add(read_bytes=len(data))
        return data

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self.read_many(name, [(offset, length)])[0]

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        require_name(name)
        require_ranges(name, ranges)
        wanted = join_ranges(ranges, self._gap_bytes, self._part_bytes)
        pieces = self._read_pieces(name, wanted)
        self._require_within(name, [offset for offset, length in ranges if not length])
        if len(ranges) == 1 and len(pieces) == 1:
            return [bytes(pieces[0][1])]
        return [pick_range(pieces, piece) for piece in ranges]

    def _read_pieces(self, name: str, wanted: Sequence[Range]) -> list[tuple[int, memoryview]]:
        """In their order, several at once."""
        if len(wanted) <= 1:
            return [self._read_piece(name, *piece) for piece in wanted]
        found: dict[int, tuple[int, memoryview]] = {}
        left = iter(enumerate(wanted))  # which the readers share

        def read() -> None:
            for number, piece in left:
                found[number] = self._read_piece(name, *piece)

        for reader in [self._readers.submit(read) for _ in range(min(self._reads_at_once, len(wanted)))]:
            reader.result()
        return [found[number] for number in range(len(wanted))]

    def _read_piece(self, name: str, offset: int, length: int) -> tuple[int, memoryview]:
        self._requests.add(ranged_reads=1)
        with self._reading(name):
            data = memoryview(obstore.get_range(self._bucket, name, start=offset, length=length))
        self._requests.add(read_bytes=len(data))
        if len(data) != length:
            raise StorageFailure(f"{name}: {len(data)} bytes came where {length} were read from {offset}.")
        return offset, data

    def _require_within(self, name: str, offsets: Sequence[int]) -> None:
        """Empty ranges cannot be asked for: that they are within the object is seen from its size."""
        if offsets and max(offsets) > (size_bytes := self.size(name)):
            raise StorageFailure(f"{name}: no 0 bytes from {max(offsets)}: it has {size_bytes}.")

    def size(self, name: str) -> int:
        require_name(name)
        self._requests.add(heads=1)
        with self._reading(name):
            return obstore.head(self._bucket, name)["size"]

    def list(self, prefix: str) -> list[str]:
        folder = require_prefix(prefix)
        with self._failing(folder or self.url):
            found = self._listed(folder)
        self._requests.add(lists=-(-len(found) // _LIST_PAGE) or 1)
        # Others may keep things in the bucket that are no objects of ours.
        return sorted(path for meta in found if is_name(path := meta["path"]))

    def _listed(self, folder: str) -> Sequence[ObjectMeta]:
        for _ in range(self._retries_max):
            try:
                return obstore.list(self._bucket, folder or None, chunk_size=_LIST_PAGE).collect()
            except GenericError as error:
                # obstore repeats all but this: a connection that breaks within a page.
                if "list response body" not in str(error):
                    raise
        return obstore.list(self._bucket, folder or None, chunk_size=_LIST_PAGE).collect()

    def delete(self, name: str) -> None:
        require_name(name)
        self._requests.add(deletes=1)
        with contextlib.suppress(ObjectMissing), self._reading(name):
            obstore.delete(self._bucket, name)

    def local_path(self, name: str) -> Path | None:
        require_name(name)
        return None

    @property
    def requests(self) -> RequestCounters:
        return self._requests.counters

    def _count_put(self, size_bytes: int) -> None:
        parts = -(-size_bytes // self._part_bytes)
        # An upload in parts is begun, and completed.
        self._requests.add(puts=parts + 2 if parts > 1 else 1, written_bytes=size_bytes)

    @contextlib.contextmanager
    def _failing(self, name: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, ValueError, OSError) as error:
            raise StorageFailure(f"{name}: {_reason(error)}") from error

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """As `_failing`, but what is not there is missing."""
        try:
            yield
        except (BaseError, ValueError, OSError) as error:
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                raise ObjectMissing(f"{name}: there is no such object.") from error
            raise StorageFailure(f"{name}: {_reason(error)}") from error


def _bucket_and_prefix(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise ParameterInvalid(f"Not the URL of a place on S3, as s3://bucket/prefix: {url!r}")
    return parts.netloc, require_prefix(parts.path.strip("/"))


def _endpoint(given: str | None) -> str:
    if given is not None:
        return given
    return next((os.environ[name] for name in _ENDPOINT_VARIABLES if os.environ.get(name)), "")


def _reason(error: Exception) -> str:
    """Without the dump of its inner state that obstore adds."""
    return str(error).split("\n\nDebug source:", 1)[0].strip()
