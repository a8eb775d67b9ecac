"""From an address to a key-value store."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.opening import open_store
from lutra.model.errors import ParameterInvalid


def test_a_folder_is_the_same_however_it_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    store = open_store(folder)
    batch = WriteBatch()
    batch.put(b"key", b"value")
    store.commit(batch)
    store.close()
    for address in (str(folder), f"file://{tmp_path}/a%20b"):
        store = open_store(address, may_make=False)
        assert store.get(b"key") == b"value"
        store.close()


@pytest.mark.parametrize("address", ["", "s3://bucket/a", "file://elsewhere/a", "file:a://b"])
def test_other_addresses_are_none(address: str) -> None:
    with pytest.raises(ParameterInvalid, match="address of a key-value store"):
        open_store(address)
