"""Deletions as objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap
from support.stored_segments import Shelf

from lutra.kernels.checksum import crc32c
from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption, ObjectMissing, StorageFailure
from lutra.segments.deletions import dead_of, live_of, read_deletions, write_deletions

NAME = "deletions/1"


@given(st.lists(st.booleans(), max_size=200))
def test_masks_and_bitmaps_say_the_same(live: list[bool]) -> None:
    dead = dead_of(RowMask(np.array(live, bool)))
    assert list(dead) == [doc for doc, is_live in enumerate(live) if not is_live]
    assert live_of(len(live), dead).bools().tolist() == live


def test_what_was_written_is_read(shelf: Shelf) -> None:
    for dead in (BitMap(), BitMap([0]), BitMap(range(10, 100_000, 3)), BitMap(range(70_000))):
        size_bytes = write_deletions(shelf.store, NAME, dead)
        assert shelf.store.size(NAME) == size_bytes
        assert read_deletions(shelf.store, NAME) == dead


def test_damage_is_told(shelf: Shelf) -> None:
    write_deletions(shelf.store, NAME, BitMap([1, 5, 70_000]))
    data = shelf.store.get(NAME)
    for place in range(len(data)):
        shelf.store.put(NAME, data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(Corruption, match=NAME):
            read_deletions(shelf.store, NAME)
        shelf.store.put(NAME, data[:place])
        with pytest.raises(Corruption, match=NAME):
            read_deletions(shelf.store, NAME)
    body = data[:12] + b"nonsense"
    shelf.store.put(NAME, body + crc32c(body).to_bytes(4, "little"))
    with pytest.raises(Corruption, match="make no sense"):
        read_deletions(shelf.store, NAME)


def test_a_newer_format_is_an_error_of_its_own(shelf: Shelf) -> None:
    write_deletions(shelf.store, NAME, BitMap([1]))
    data = shelf.store.get(NAME)
    body = data[:8] + (2).to_bytes(4, "little") + data[12:-4]
    shelf.store.put(NAME, body + crc32c(body).to_bytes(4, "little"))
    with pytest.raises(StorageFailure, match="format version 2; this Lutra reads up to 1"):
        read_deletions(shelf.store, NAME)
    with pytest.raises(ObjectMissing):
        read_deletions(shelf.store, "deletions/none")
