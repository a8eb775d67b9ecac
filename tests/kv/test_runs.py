"""Pairs of a store as runs of bytes, and back."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.kv.runs import put_runs, runs_of
from lutra.model.errors import Corruption

keys = st.binary(min_size=1, max_size=8).map(lambda key: b"k" + key)


def stored(pairs: dict[bytes, bytes]) -> MemoryStore:
    store, batch = MemoryStore(), WriteBatch()
    for key, value in pairs.items():
        batch.put(key, value)
    store.commit(batch)
    return store


@given(st.dictionaries(keys, st.binary(max_size=50), max_size=30))
def test_there_and_back(pairs: dict[bytes, bytes]) -> None:
    store = MemoryStore()
    put_runs(store, runs_of(stored(pairs)))
    assert dict(store.scan(b"\0", b"\xff")) == pairs


def test_where_nothing_has_changed_runs_stay() -> None:
    rng = random.Random(1)
    pairs = {b"k%08d" % number: rng.randbytes(1_000) for number in range(12_000)}
    before = list(runs_of(stored(pairs)))
    assert len(before) >= 4
    assert all(len(run) >= 1 << 20 for run in before[:-1])
    pairs[b"k%08d" % 20] = b"changed"
    pairs[b"k%08d+" % 6_000] = b"new"
    after = list(runs_of(stored(pairs)))
    assert len(set(after) - set(before)) <= 2
    store = MemoryStore()
    put_runs(store, after)
    assert dict(store.scan(b"\0", b"\xff")) == pairs


@pytest.mark.parametrize("run", [b"\1", struct.pack("<II", 1, 5) + b"k", struct.pack("<II", 0, 1) + b"v"])
def test_what_is_no_run_is_refused(run: bytes) -> None:
    with pytest.raises(Corruption, match="ends within"):
        put_runs(MemoryStore(), [run])
