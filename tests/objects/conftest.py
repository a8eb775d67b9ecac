"""Every kind of store, empty."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from support.s3_server import S3Server

from lutra.objects.local import LocalStore
from lutra.objects.s3 import S3Store
from lutra.objects.store import ObjectStore


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalStore(tmp_path / "objects")
    server: S3Server = request.getfixturevalue("s3_server")
    return S3Store(server.url(f"{request.node.name[:20].strip('[')}-{uuid.uuid4().hex}"), **server.options)


@pytest.fixture
def s3_store(s3_server: S3Server) -> S3Store:
    return S3Store(s3_server.url(uuid.uuid4().hex), **s3_server.options)
