"""Where the server is."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def where() -> dict[str, str]:
    names = ("endpoint", "instance_name", "access_key_id", "access_key_secret")
    return {name: os.environ[f"TABLESTORE_{name.upper()}"] for name in names}
