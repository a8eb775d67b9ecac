"""One database for a module of tests that make tables of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.embedders import Words

import lutra


@pytest.fixture(scope="module")
def database() -> Iterator[lutra.Database]:
    with lutra.connect() as opened:
        yield opened


@pytest.fixture
def db(database: lutra.Database) -> Iterator[lutra.Database]:
    """Without tables; opening one takes longer than all else in most tests."""
    yield database
    for name in database.table_names():
        database.delete_table(name)


@pytest.fixture
def model() -> Iterator[Words]:
    """A model of texts, under the name ``words-of-tests``."""
    model = Words()
    lutra.register_model("words-of-tests", model)
    yield model
    model.failure = None
