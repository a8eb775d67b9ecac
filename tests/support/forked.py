"""What child processes do, where their start has to find it by its name."""

from __future__ import annotations

import multiprocessing

import lutra


def insert(table: lutra.Table, results: multiprocessing.SimpleQueue[str]) -> None:
    """Into the parent's table."""
    try:
        table.put({"id": 1, "n": 1})
    except Exception as error:
        results.put(type(error).__name__)
    else:
        results.put("accepted")


def connect(path: str, results: multiprocessing.SimpleQueue[str]) -> None:
    """To a database of its own."""
    with lutra.connect(path) as database:
        database.create_table("t", {"id": int}, {"n": int}).put({"id": 1, "n": 1})
    results.put("written")
