"""What several rooms' tests share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support.s3_server import S3Server, S3ServerUnavailable

if TYPE_CHECKING:
    from support.stored_segments import Shelf

# A busy machine is no fault of what is tested: how long a test may take in all, pytest-timeout says.
# Slow tests, which have more examples of their own, make up for what these few miss.
settings.register_profile("lutra", deadline=None, max_examples=60)
settings.load_profile("lutra")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all tests of a run; those that need it are skipped where it cannot be had."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(S3Server(tmp_path_factory.mktemp("s3")))
        except S3ServerUnavailable as reason:
            pytest.skip(f"no S3 server: {reason}")
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The same, as the one that this process, and those that it starts, find by the variables that S3 clients read."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A store and a cache for segments."""
    from support.stored_segments import Shelf  # which the interpreter of the SDK's own tests does not have

    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()
