"""Files that are compressed, and what is told of those that are damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.transfer.data_file import DataFile
from lutra.transfer.jsonl_reader import JsonLinesReader
from lutra.transfer.positions import Position

CONTENT = b"".join(b'{"n": %d, "x": "%d"}\n' % (n, n * 7_919) for n in range(5_000))


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}


def rows(path: Path) -> int:
    return sum(found.count for found in JsonLinesReader(DataFile.at(path)).rows(Position()))


@pytest.mark.parametrize("ending", PACKERS)
def test_compressed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.JSONL.{ending}"
    path.write_bytes(PACKERS[ending](CONTENT))
    assert (DataFile.at(path).format, rows(path)) == ("jsonl", 5_000)
    path.write_bytes(PACKERS[ending](CONTENT) * 2)  # as tools append
    assert rows(path) == 10_000


@pytest.mark.parametrize("ending", PACKERS)
def test_damaged_or_cut_off(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.jsonl.{ending}"
    packed = bytearray(PACKERS[ending](CONTENT))
    for content in (
        packed[: len(packed) // 2],
        packed[: len(packed) // 2] + b"\xff" * 500 + packed[len(packed) // 2 :],
    ):
        path.write_bytes(content)
        with pytest.raises(StorageFailure, match=rf"cannot read .*rows\.jsonl\.{ending}"):
            rows(path)


def test_parquet_is_not_compressed_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.parquet.gz").write_bytes(b"")
    with pytest.raises(ParameterInvalid, match="decompress this one first"):
        DataFile.at(tmp_path / "a.parquet.gz")


def test_what_tells_a_file_from_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    before = DataFile.at(path).identity()
    assert DataFile.at(path).identity() == before
    path.write_text("x\n2\n")
    assert DataFile.at(path).identity() != before
