"""Parquet: batches of bounded size out of row groups of any, from every row on."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.transfer import parquet_reader
from lutra.transfer.data_file import DataFile
from lutra.transfer.parquet_reader import ParquetReader
from lutra.transfer.positions import Position


def written(path: Path, table: pa.Table, **options: object) -> ParquetReader:
    pq.write_table(table, path, **options)
    return ParquetReader(DataFile.at(path))


def test_goes_on_from_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_reader, "_BATCH_ROWS_MIN", 7)
    monkeypatch.setattr(parquet_reader, "_BATCH_ROWS_MAX", 7)
    reader = written(tmp_path / "a.parquet", pa.table({"n": list(range(50)), "x": ["y"] * 50}), row_group_size=20)
    for start in range(51):
        numbers: list[int] = []
        for found in reader.rows(Position(start), ["n"]):
            assert found.frame.schema.names == ["n"]
            assert found.count <= 7
            numbers += found.frame["n"].to_pylist()
            assert found.after == Position(numbers[-1] + 1)
        assert numbers == list(range(start, 50))


def test_types_become_those_that_tables_have(tmp_path: Path) -> None:
    day = dt.date(2020, 2, 3)
    moment = dt.datetime(2020, 2, 3, 4, 5, 6, 7)
    table = pa.table(
        {
            "day": [day],
            "naive": pa.array([moment], pa.timestamp("us")),
            "time": [dt.time(1, 2, 3)],
            "decimal": [decimal.Decimal("1.50")],
            "span": pa.array([1_500], pa.duration("ms")),
            "half": pa.array([1.5], pa.float32()).cast(pa.float16()),
            "large": pa.array(["x"], pa.large_string()),
            "blob": pa.array([b"x"], pa.large_binary()),
            "fixed": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
        }
    )
    reader = written(tmp_path / "a.parquet", table)
    assert reader.hints == {
        "day": "datetime",
        "naive": "datetime",
        "decimal": "float",
        "span": "int",
        "half": "float",
        "blob": "bytes",
        "fixed": "vector",
    }
    [found] = reader.rows(Position())
    [row] = found.frame.to_pylist()
    assert row == {
        "day": dt.datetime(2020, 2, 3, tzinfo=dt.UTC),
        "naive": moment.replace(tzinfo=dt.UTC),
        "time": "01:02:03.000000",
        "decimal": 1.5,
        "span": 1_500,
        "half": 1.5,
        "large": "x",
        "blob": b"x",
        "fixed": [1.0, 2.0],
    }


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nothing of it")
    with pytest.raises(StorageFailure, match="cannot be read as Parquet"):
        ParquetReader(DataFile.at(path))
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(ParameterInvalid, match="several columns 'x'"):
        written(path, twice)


def test_damage_in_the_middle_is_told_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"n": list(range(40)), "x": [str(n) * 50 for n in range(40)]})
    pq.write_table(table, path, row_group_size=10, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    place = content.index(b"25" * 50)
    content[place - 60 : place] = b"\xff" * 60
    path.write_bytes(content)
    reader = ParquetReader(DataFile.at(path))
    found = reader.rows(Position())
    assert [next(found).count, next(found).count] == [10, 10]
    with pytest.raises(StorageFailure, match=r"a\.parquet after row 20"):
        next(found)


def test_texts_that_a_page_has_once_are_not_there_a_thousand_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of some kilobytes can say gigabytes that way."""
    monkeypatch.setattr(parquet_reader, "_BATCH_BYTES", 1_000_000)
    texts = ["x" * 300_000, "y", None]
    column = pa.array([texts[number] for number in [0, 1, 2, 0, 0, 0, 1, 0] * 25])
    table = pa.table({"n": list(range(200)), "x": column, "b": column.cast(pa.binary())})
    reader = written(tmp_path / "a.parquet", table, compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 50_000
    assert reader.hints == {"n": "int", "b": "bytes"}
    for start in (0, 101):
        found = list(reader.rows(Position(start)))
        assert all(one.frame["x"].nbytes <= 1_300_000 for one in found)
        assert len(found) > 20
        assert [row for one in found for row in one.frame.to_pylist()] == table.slice(start).to_pylist()
        assert [one.after.rows for one in found][-1] == 200


def test_more_columns_than_any_table_takes(tmp_path: Path) -> None:
    with pytest.raises(ParameterInvalid, match="more than 4,096 columns"):
        written(tmp_path / "a.parquet", pa.table({f"c{number}": [1] for number in range(4_097)}))
