"""One instance: its tables and their search indexes together."""

from __future__ import annotations

from lutra.tables.tables import Tables


class Instance:
    """Tables and search indexes of one name space. Thread-safe, synchronous. Made by `Engine.instance`."""

    def __init__(self, name: str, tables: Tables) -> None:
        self.name = name
        self.tables = tables

    def delete_table(self, name: str) -> None:
        """Deletes a table with all its rows. Raises ObjectNotExist."""
        self.tables.delete(name)
