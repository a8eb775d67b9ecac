"""Single rows under load through several endpoints at once: what was asked and answered, as a history to be explained.

Each row counts as an object of its own: puts, conditional updates, deletes and reads of one row, by several threads,
have to be explained by one serial order (linearizability). What was not answered may have happened, or not.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import tablestore as ots
from support.endpoint_load import LOST, Connect, EndpointLoad, Unavailable
from support.histories import History, State, Unit
from support.registers import first_unexplained, told

NUMBER: Final = "number"
SURELY_NOT_DONE: Final = frozenset({"OTSConditionCheckFail", "OTSServerBusy", "OTSRowOperationConflict"})
"""Codes of writes that were refused before anything changed."""


@dataclass
class Outcomes:
    """Of one kind of operation: how many were answered, and how many not."""

    answered: int = 0
    refused: int = 0
    unknown: int = 0


class RowLoad(EndpointLoad):
    """Threads that write and read a few rows of a table with one key column, ``id`` (STRING).

    Values of ``number`` are never written twice, so that what was read tells who wrote it.
    """

    def __init__(self, connects: Sequence[Connect], table: str, keys: Sequence[str], seed: int, begin: State) -> None:
        """``begin``: what the rows hold."""
        super().__init__(connects, seed)
        self._table = table
        self._keys = keys
        self._held = dict(begin)
        self._lock = threading.Lock()
        self._next = max(begin.values(), default=0) + 1
        self.history = History()
        self.writes = Outcomes()
        self.reads = Outcomes()

    def start(self, writers: int = 4, readers: int = 2) -> None:
        """With threads of their own."""
        for number in range(writers + readers):
            self.begin(self._write if number < writers else self._read, number)

    def wait_for_writes(self, count: int, within_s: float) -> float:
        """Returns once so many more writes are acknowledged: the seconds it took. Raises AssertionError."""
        return self.wait_for_more(lambda: self.writes.answered, count, within_s, lambda: f"{count} writes")

    def wait_for_reads(self, count: int, within_s: float) -> float:
        """The same of reads that change nothing."""
        return self.wait_for_more(lambda: self.reads.answered, count, within_s, lambda: f"{count} reads")

    def check(self, state: State) -> None:
        """Raises AssertionError where no order explains what each row showed, up to ``state`` at the end."""
        assert self.reads.answered, "nobody looked"
        assert self.writes.answered, "nobody wrote"
        self.history.settle()
        for key in self._keys:
            units = [unit for unit in self.history.units if unit.name.split()[-1] == key]
            last = Unit(f"the end of {key}", time.monotonic(), time.monotonic(), reads={key: state.get(key)})
            unexplained = first_unexplained([*units, last], key, self._held.get(key))
            if unexplained is not None:
                raise AssertionError(
                    f"no order explains row {key} at {unexplained.name}, which held {self._held.get(key)} at first:\n"
                    + told([*units, last], unexplained)
                )

    def _number(self) -> int:
        with self._lock:
            self._next += 1
            return self._next

    def _write(self, client: ots.OTSClient, rng: random.Random) -> None:
        key, kind = rng.choice(self._keys), rng.random()
        number = self._number()
        unit = self.history.begin(f"{number} {key}")
        call: Callable[[], Any]
        if kind < 0.5:
            unit.writes[key] = number
            call = lambda: client.put_row(self._table, _row(key, number))  # noqa: E731
        elif kind < 0.6:
            unit.writes[key] = None
            call = lambda: client.delete_row(self._table, ots.Row([("id", key)]))  # noqa: E731
        else:
            seen = self._seen(client, key)
            if seen is None:
                return
            unit.began_s = time.monotonic()  # the read is over
            unit.reads[key], unit.writes[key] = seen, number
            equal = ots.SingleColumnCondition(NUMBER, seen, ots.ComparatorType.EQUAL, pass_if_missing=False)
            condition = ots.Condition(ots.RowExistenceExpectation.EXPECT_EXIST, equal)
            changed = ots.Row([("id", key)], {"PUT": [(NUMBER, number)]})
            call = lambda: client.update_row(self._table, changed, condition)  # noqa: E731
        self._take(unit, call, self.writes)

    def _read(self, client: ots.OTSClient, rng: random.Random) -> None:
        self._seen(client, rng.choice(self._keys))
        self.reads.answered += 1

    def _seen(self, client: ots.OTSClient, key: str) -> int | None:
        unit = self.history.begin(f"read {key}")
        unit.reads[key] = found = _number_of(client.get_row(self._table, [("id", key)], max_version=1)[1])
        self.history.end(unit)
        return found

    def _take(self, unit: Unit, call: Callable[[], object], outcomes: Outcomes) -> None:
        try:
            call()
        except ots.OTSServiceError as error:
            if error.get_error_code() in SURELY_NOT_DONE:
                outcomes.refused += 1
                if error.get_error_code() != "OTSConditionCheckFail":
                    raise Unavailable from error
                return
            outcomes.unknown += 1
            self.history.end(unit, is_certain=False)
            raise Unavailable from error
        except LOST:
            outcomes.unknown += 1
            self.history.end(unit, is_certain=False)
            raise
        self.history.end(unit)
        outcomes.answered += 1


def state_of(client: ots.OTSClient, table: str) -> dict[str, int]:
    """What every row holds, by GetRange."""
    state: dict[str, int] = {}
    start: Any = [("id", ots.INF_MIN)]
    while start:
        _, start, rows, _ = client.get_range(table, "FORWARD", start, [("id", ots.INF_MAX)], max_version=1)
        for row in rows:
            key = row.primary_key[0][1]
            assert key not in state, f"row {key} comes twice"
            number = _number_of(row)
            assert number is not None
            state[key] = number
    return state


def _row(key: str, number: int) -> ots.Row:
    return ots.Row([("id", key)], [(NUMBER, number)])


def _number_of(row: ots.Row | None) -> int | None:
    if row is None:
        return None
    return next((value for name, value, _ in row.attribute_columns if name == NUMBER), None)
