"""What a backup consists of, as it is stored: whole, or refused."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.backup.record import CHUNK_BYTES, Backup, Record, StoredFile, new_id, require_id
from lutra.kernels.checksum import crc32c
from lutra.model.errors import Corruption, LutraError, ParameterInvalid, StorageFailure

DIGEST = "0123456789abcdef" * 4
names = st.lists(st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}", fullmatch=True), min_size=1, max_size=4)
files = st.builds(
    lambda parts, size, identity: StoredFile("/".join(parts), size, identity, (DIGEST,) * -(-size // CHUNK_BYTES)),
    names,
    st.integers(0, 5 * CHUNK_BYTES),
    st.text(max_size=20),
)
records = st.builds(
    lambda time_us, directory, new_bytes, notes, of: Record(
        Backup(*new_id(time_us), directory, sum(file.size_bytes for file in of), new_bytes, tuple(notes)),
        "store",
        ("default", "x"),
        tuple({file.name: file for file in of}.values()),
    ),
    st.integers(0, 4_000_000_000_000_000),
    st.text(max_size=30),
    st.integers(0, 1 << 50),
    st.lists(st.text(max_size=20), max_size=3),
    st.lists(files, max_size=6),
)


@settings(max_examples=30)
@given(records)
def test_what_is_written_is_read(record: Record) -> None:
    assert Record.from_bytes("backups/x", record.to_bytes()) == record


@settings(max_examples=40)
@given(records, st.data())
def test_no_byte_is_changed_unnoticed(record: Record, data: st.DataObject) -> None:
    stored = bytearray(record.to_bytes())
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LutraError, match="backups/x"):
        Record.from_bytes("backups/x", bytes(stored))
    with pytest.raises(Corruption, match="backups/x"):
        Record.from_bytes("backups/x", bytes(record.to_bytes()[:at]))


def of_files(*stored: StoredFile, version: int = 1) -> bytes:
    backup = Backup("20260131T235959Z-0a1b2c3d", datetime(2026, 1, 31, tzinfo=UTC), "/data", 1, 1)
    body = bytearray(Record(backup, "store", (), stored).to_bytes()[:-4])
    struct.pack_into("<I", body, 8, version)
    return bytes(body) + struct.pack("<I", crc32c(bytes(body)))


def test_a_newer_one_is_refused_by_its_version() -> None:
    with pytest.raises(StorageFailure, match="format version 2; this Lutra reads up to 1"):
        Record.from_bytes("backups/x", of_files(version=2))


@pytest.mark.parametrize(
    "file",
    [
        StoredFile("../escape", 1, "", (DIGEST,)),
        StoredFile("kv/../../escape", 1, "", (DIGEST,)),
        StoredFile("/etc/passwd", 1, "", (DIGEST,)),
        StoredFile("kv/x", 1, "", ("../x",)),
        StoredFile("kv/x", 1, "", ()),
        StoredFile("kv/x", 0, "", (DIGEST,)),
    ],
)
def test_a_name_leads_nowhere_else(file: StoredFile) -> None:
    """Though the checksum is right: whoever wrote it."""
    with pytest.raises(Corruption):
        Record.from_bytes("backups/x", of_files(file))


@pytest.mark.parametrize("id", ["", "x", "../x", "20260131T235959Z", "20260131T235959Z-0A1B2C3D"])
def test_what_is_no_id_is_told(id: str) -> None:
    with pytest.raises(ParameterInvalid, match="no id of a backup"):
        require_id(id)


def test_ids_sort_by_time() -> None:
    ids = [new_id(second * 1_000_000)[0] for second in (0, 1, 86_400, 1_700_000_000, 4_000_000_000)]
    assert sorted(ids) == ids == [require_id(id) for id in ids]
