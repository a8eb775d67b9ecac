"""A store and a cache for segments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stored_segments import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()
