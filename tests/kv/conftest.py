"""Stores of every kind: the same tests run on each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.s3_server import S3Server
from support.stores import opened_store

from lutra.kv.slatedb.store import SlateStore
from lutra.kv.store import KeyValueStore

ON_S3 = pytest.param("s3", marks=pytest.mark.slow)


@pytest.fixture(params=["memory", "rocksdb", "slatedb", ON_S3])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        opened: KeyValueStore = SlateStore(server.url(f"seam/{uuid.uuid4().hex}"))
    else:
        opened = opened_store(request.param, tmp_path / "store")
    yield opened
    opened.close()
