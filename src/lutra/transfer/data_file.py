"""A file of rows: its format, how it is compressed, and what tells it from what it was before."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Literal, cast, get_args

from lutra.model.errors import ParameterInvalid, StorageFailure

FormatName = Literal["csv", "tsv", "jsonl", "parquet"]

FORMATS: Final[tuple[FormatName, ...]] = get_args(FormatName)
_FORMAT_OF_ENDING: Final[dict[str, FormatName]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
COLUMNS_MAX: Final = 4_096
"""Of a file: what says more is none, or has rows that no table takes."""
_HEAD_BYTES: Final = 65_536
_BUFFER_BYTES: Final = 1 << 20


def _zstandard(raw: IO[bytes]) -> IO[bytes]:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ImportError("files compressed with zstd need pyarrow: pip install 'lutra[arrow]'") from error
    return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))


_OPENERS: Final[dict[str, Callable[[IO[bytes]], IO[bytes]]]] = {
    ".gz": lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw)),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _zstandard,
}


def format_of_name(path: Path) -> FormatName | None:
    """What the name of a file says, however it is compressed."""
    inner = Path(path.stem) if path.suffix.lower() in _OPENERS else path
    return _FORMAT_OF_ENDING.get(inner.suffix.lower())


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells whether a file is still the one that was read."""

    size_bytes: int
    modified_ns: int
    head_sha256: str

    def as_json(self) -> dict[str, Any]:
        return {"size_bytes": self.size_bytes, "modified_ns": self.modified_ns, "head_sha256": self.head_sha256}


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file by its path. Raises StorageFailure where it cannot be read."""

    path: Path
    format: FormatName
    compression: str
    """The ending of its name that says it: ``.gz``, ``.zst``, ``.bz2``, ``.xz``, or nothing."""

    @classmethod
    def at(cls, path: Path, format_: FormatName | None = None) -> DataFile:
        """The file at ``path``; its name says of which format it is, unless ``format_`` does. Raises ParameterInvalid,
        StorageFailure."""
        ending = path.suffix.lower()
        compression = ending if ending in _OPENERS else ""
        found = format_ or format_of_name(path)
        if found is None:
            raise ParameterInvalid(
                f"{path}: its name does not say what it is: give --format, one of {', '.join(FORMATS)}"
            )
        if not path.is_file():
            raise ParameterInvalid(f"there is no file {path}" if not path.exists() else f"{path} is no file")
        if compression and found == "parquet":
            raise ParameterInvalid(f"{path}: Parquet files are compressed within; decompress this one first")
        return cls(path, found, compression)

    @property
    def size_bytes(self) -> int:
        with _told(self.path):
            return self.path.stat().st_size

    def identity(self) -> FileIdentity:
        """Reads its begin. Raises StorageFailure."""
        with _told(self.path):
            with self.path.open("rb") as raw:
                head = raw.read(_HEAD_BYTES)
                status = os.fstat(raw.fileno())
            return FileIdentity(status.st_size, status.st_mtime_ns, hashlib.sha256(head).hexdigest())

    def open(self) -> OpenFile:
        """Its bytes, decompressed. Raises StorageFailure, and ImportError where a library for it is not there."""
        with _told(self.path):
            return OpenFile(self)


class OpenFile:
    """The decompressed bytes of a file, from the first on. A context manager."""

    def __init__(self, file: DataFile) -> None:
        self.path = file.path
        self._raw = file.path.open("rb", buffering=_BUFFER_BYTES)
        self._is_compressed = bool(file.compression)
        inner: IO[bytes] = self._raw
        if file.compression:
            inner = io.BufferedReader(cast("Any", _OPENERS[file.compression](self._raw)), _BUFFER_BYTES)
        self._inner = cast("BinaryIO", inner)

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()
        self._raw.close()

    def read_line(self, limit_bytes: int) -> bytes:
        """Up to a line's end, which is included, or to so many bytes. Raises StorageFailure."""
        with _told(self.path):
            return self._inner.readline(limit_bytes)

    def skip_to(self, offset: int) -> None:
        """Goes to a place of the decompressed bytes. Raises StorageFailure."""
        with _told(self.path):
            if not self._is_compressed:
                self._inner.seek(offset)
                return
            left = offset
            while left > 0:
                read = len(self._inner.read(min(left, _BUFFER_BYTES)))
                if read == 0:
                    raise StorageFailure(f"{self.path} ends before the place that was reached in it before")
                left -= read

    @property
    def raw_position(self) -> int:
        """How much of the file itself has been read, about."""
        return self._raw.tell()


def check_columns(path: Path, count: int) -> None:
    """Raises ParameterInvalid where a file has more columns than any."""
    if count > COLUMNS_MAX:
        raise ParameterInvalid(f"{path} has more than {COLUMNS_MAX:,} columns: a table does not take so many")


class _told:  # noqa: N801  # reads as a word of the with statement
    """Has errors of the system, and of what decompresses, name the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, OSError | EOFError | lzma.LZMAError | zlib.error):
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise StorageFailure(f"cannot read {self._path}: {why}") from error
