"""The vectors a segment is built from, as one float32 matrix that can be read in any order.

What comes block by block is written to a file of its own first and mapped from there: memory stays bounded, and a build
reads its input several times. (Mapped, against the rule for searches: a graph is built over all vectors in any order. A
disk that fails under a mapping ends the process, which is why builds run in one of their own.)
"""

from __future__ import annotations

import contextlib
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.vectors.build_memory import SAMPLE_BYTES_MAX, sample_bytes
from lutra.vectors.layout import DIMENSION_MAX, ROWS_MAX

Matrix = NDArray[np.float32]


@contextlib.contextmanager
def input_vectors(vectors: Matrix | Iterable[Matrix], dimension: int | None, folder: str) -> Iterator[Matrix]:
    """``vectors`` as float32 [n, d], C-contiguous.

    ``vectors`` is such a matrix (a memory-mapped one too), or blocks of one in order, which are kept meanwhile in a
    nameless file in ``folder``. ``dimension`` is needed where there may be no block at all.

    :raises TypeError: a matrix or block is not float32 with two axes.
    :raises ParameterInvalid: dimensions differ or are not 1 to 4096; too many rows.
    :raises StorageFailure: the blocks cannot be kept.
    """
    if isinstance(vectors, np.ndarray):
        _check(vectors, dimension)
        yield np.ascontiguousarray(vectors)
        return
    with _nameless_file(folder) as file:
        rows = 0
        for block in vectors:
            dimension = _check(block, dimension)
            rows += len(block)
            _check_rows(rows)
            _append(file, block, folder)
        if dimension is None:
            raise ValueError("where there are no vectors, their dimension has to be given")
        if rows == 0:
            yield np.empty((0, dimension), np.float32)
        else:
            yield np.memmap(file, np.float32, "r", shape=(rows, dimension))


def let_go_of_pages(vectors: Matrix) -> None:
    """Of mapped ``vectors``: pages that were read are no memory of this process any more. They are where they were."""
    mapped = getattr(vectors, "_mmap", None)
    if mapped is not None and sample_bytes() < SAMPLE_BYTES_MAX:
        mapped.madvise(mmap.MADV_DONTNEED)


def _nameless_file(folder: str) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    except OSError as error:
        raise StorageFailure(f"{folder}: cannot be written: {error.strerror}.") from error


def _append(file: IO[bytes], block: Matrix, folder: str) -> None:
    data = memoryview(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    try:
        while len(data):
            data = data[file.write(data) :]
    except OSError as error:
        raise StorageFailure(f"{folder}: vectors cannot be kept for the build: {error.strerror}.") from error


def _check(block: Matrix, dimension: int | None) -> int:
    """The dimension of ``block``, which is ``dimension`` where that is given."""
    if not isinstance(block, np.ndarray) or block.dtype != np.float32 or block.ndim != 2:
        raise TypeError("vectors are float32 with two axes")
    found = int(block.shape[1])
    if not 1 <= found <= DIMENSION_MAX:
        raise ParameterInvalid(f"Vectors have 1 to {DIMENSION_MAX} dimensions, not {found}.")
    if dimension is not None and found != dimension:
        raise ParameterInvalid(f"A vector has {found} dimensions where {dimension} were expected.")
    _check_rows(len(block))
    return found


def _check_rows(rows: int) -> None:
    if rows > ROWS_MAX:
        raise ParameterInvalid(f"A segment holds {ROWS_MAX} vectors at most, not {rows}.")
