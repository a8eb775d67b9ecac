"""What one write holds while it is under way: tables against deletion, rows against other writers."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.model.deadline import current_deadline
from lutra.tables.gate import Gate
from lutra.tables.locks import RowLocks
from lutra.tables.table import Table


class Stay:
    """Of one writer's thread. Whatever became of the other calls, `end` lets go of all, and may be called again."""

    __slots__ = ("_gates", "_keys", "_locks")

    def __init__(self, locks: RowLocks) -> None:
        self._locks = locks
        self._gates: list[Gate] = []
        self._keys: set[bytes] = set()

    def enter(self, tables: Sequence[Table]) -> set[int]:
        """Goes into the tables; gives the ids of those that are not being deleted already."""
        entered: set[int] = set()
        for table in tables:
            if table.table_id not in entered:
                self._gates.append(table.gate)
                if table.gate.enter(self):
                    entered.add(table.table_id)
        return entered

    def lock(self, keys: set[bytes]) -> None:
        """Once. Raises OperationConflict, RequestTimeout."""
        self._keys = keys
        self._locks.acquire(keys)
        current_deadline().check()  # who gave this up may have written the row anew, and waits for nobody

    def end(self) -> None:
        if self._keys:
            self._locks.release(self._keys)
        for gate in self._gates:
            gate.leave(self)
