"""Tables that frames are written to, in one database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.frame_rows import FIELDS

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
def things(db: lutra.Database) -> lutra.Table:
    return db.create_table("things", {"id": str}, FIELDS)


@pytest.fixture
def years(db: lutra.Database) -> lutra.Table:
    return db.create_table("years", {"id": int}, {"year": int, "price": float, "ok": bool, "kind": str})
