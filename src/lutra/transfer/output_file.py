"""A file that is there as a whole or not at all."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, cast

from lutra.kv.folder import sync_folder
from lutra.model.errors import ObjectAlreadyExist, StorageFailure

STDOUT: Final = "-"


class _LeftOpen(io.RawIOBase):
    """Passes bytes on; that it is closed is its own business."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        return self._raw.write(content)


class PieceBuffer(io.RawIOBase):
    """Keeps what is written until it is taken, for who passes it on."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        self._pieces.append(bytes(content))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        """All that was written since it was last taken."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _zstandard(raw: IO[bytes]) -> IO[bytes]:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ImportError("files compressed with zstd need pyarrow: pip install 'lutra[arrow]'") from error
    return cast("IO[bytes]", pa.CompressedOutputStream(pa.PythonFile(_LeftOpen(raw), mode="w"), "zstd"))


_COMPRESSORS: Final[dict[str, Callable[[IO[bytes]], IO[bytes]]]] = {
    ".gz": lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="")),
    ".bz2": partial(bz2.BZ2File, mode="wb"),
    ".xz": partial(lzma.LZMAFile, mode="wb"),
    ".zst": _zstandard,
}
"""By the endings of names."""


@contextlib.contextmanager
def output_file(path: str, *, overwrites: bool) -> Iterator[IO[bytes]]:
    """Takes bytes, which its name may say to compress; ``-`` is stdout. The file has its name once the block has ended
    without an error, and all bytes are on stable storage then.

    Raises ObjectAlreadyExist where there is one and it does not overwrite, StorageFailure.
    """
    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    _refuse_other(target, overwrites)
    with _told(target):
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.absolute().parent)
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as raw:
                compress = _COMPRESSORS.get(target.suffix.lower())
                if compress is None:
                    yield raw
                else:
                    with contextlib.closing(compress(raw)) as outer:
                        yield outer
                raw.flush()
                os.fchmod(raw.fileno(), 0o666 & ~_umask())
                os.fsync(raw.fileno())
            _refuse_other(target, overwrites)
            unfinished.rename(target)
            sync_folder(target.absolute().parent)
        finally:
            unfinished.unlink(missing_ok=True)


def _refuse_other(target: Path, overwrites: bool) -> None:
    if target.is_dir():
        raise StorageFailure(f"{target} is a folder")
    if os.path.lexists(target) and not overwrites:
        raise ObjectAlreadyExist(f"there is a file {target} already: say --force to have it overwritten")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        why: Any = error.strerror or error
        raise StorageFailure(f"cannot write {target}: {why}") from error
