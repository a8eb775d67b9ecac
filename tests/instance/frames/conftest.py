"""Tables that frames are written to, in one database."""

from __future__ import annotations

import pytest
from support.frame_rows import FIELDS

import lutra


@pytest.fixture
def things(db: lutra.Database) -> lutra.Table:
    return db.create_table("things", {"id": str}, FIELDS)


@pytest.fixture
def years(db: lutra.Database) -> lutra.Table:
    return db.create_table("years", {"id": int}, {"year": int, "price": float, "ok": bool, "kind": str})
