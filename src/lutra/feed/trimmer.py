"""Forgets changes that no consumer needs any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from lutra.model.errors import LutraError
from lutra.tables.changelog import Changelog

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Untrimmed:
    since_s: float
    through: int


class Trimmer:
    """Trims the changelog of tables that were changed. One thread trims; others tell of changes."""

    def __init__(self, changelog: Changelog, changes_min: int, period_s: float) -> None:
        """Trims ``changes_min`` changes or more at once, or what there is after ``period_s``."""
        self._changelog = changelog
        self._changes_min = changes_min
        self._period_s = period_s
        self._lock = threading.Lock()
        self._untrimmed: dict[int, _Untrimmed] = {}
        self._trimmed: dict[int, int] = {}

    def changed(self, table_ids: set[int], now_s: float) -> None:
        """Notes that these tables have changes to forget some day."""
        with self._lock:
            for table_id in table_ids:
                if table_id not in self._untrimmed:
                    self._untrimmed[table_id] = _Untrimmed(now_s, self._changelog.last_sequence)

    def run(self, now_s: float, needed_after: Callable[[int], int]) -> None:
        """Trims what is due. ``needed_after(table id)``: the last sequence nobody needs any more."""
        with self._lock:
            noted = list(self._untrimmed.items())
        for table_id, untrimmed in noted:
            waited = now_s - untrimmed.since_s >= self._period_s
            through = needed_after(table_id)
            if not waited and through - untrimmed.through < self._changes_min:
                continue
            if through <= self._trimmed.get(table_id, 0):  # a consumer holds on to what is left
                continue
            # Dropped first: a change that comes while this trims is noted anew.
            with self._lock:
                del self._untrimmed[table_id]
            try:
                self._changelog.trim(table_id, through)
            except LutraError as error:
                _log.warning("the changelog of table %d could not be trimmed: %s", table_id, error)
                self._note(table_id, _Untrimmed(now_s, untrimmed.through))
            else:
                self._trimmed[table_id] = through
                if through < self._changelog.last_sequence:
                    self._note(table_id, _Untrimmed(now_s, through))

    def _note(self, table_id: int, left: _Untrimmed) -> None:
        with self._lock:
            self._untrimmed.setdefault(table_id, left)
