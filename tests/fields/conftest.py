"""A store and a cache for the segments of one kind of field."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stored_segments import Shelf


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """One for all tests of a module: hypothesis would make many."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    yield shelf
    shelf.close()
