"""A table that a database writes which others read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

import lutra

DIMENSION = 8
FIELDS: dict[str, Any] = {"n": int, "s": str, "v": lutra.Vector(DIMENSION)}
VECTORS = np.random.default_rng(7).standard_normal((4_000, DIMENSION)).astype("<f4")


def row(number: int, n: int = 0) -> dict[str, Any]:
    return {"id": number, "n": n, "s": f"s{number % 7}", "v": VECTORS[number]}


def make(database: lutra.Database, rows: int = 0, name: str = "t") -> lutra.Table:
    table = database.create_table(name, {"id": int}, FIELDS)
    table.put_many([row(number) for number in range(rows)])
    return table


def index_of(database: lutra.Database) -> Any:
    """The only search index of a database that is written to."""
    (feed,) = database._engine.partition.feeder._feeds
    return feed.index


def write_out(database: lutra.Database, table: lutra.Table) -> None:
    """Has all rows in segments."""
    table.count()
    index_of(database).flush()


def ids(table: lutra.Table, **how: Any) -> list[int]:
    return sorted(found["id"] for found in table.search(limit=10_000, **how))


def tree(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file and folder: when it was changed, how large it is, and a hash of it."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (status.st_mtime_ns, status.st_size, content)
    return found


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
