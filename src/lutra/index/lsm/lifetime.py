"""How long rows and their values live in an index: by the table's time to live, and by the index's own."""

from __future__ import annotations

from lutra.model.clock import Clock


class Lifetime:
    """What is older than ``table_ttl_s`` is not in the table any more, cell by cell; of an index's rows those go that
    were last written before the index's own time to live, as a whole. Seconds, -1 for ever.
    """

    def __init__(self, index_ttl_s: int, clock: Clock) -> None:
        self.dropped_by_s = -1
        """The least of the table's by which rows or values may have been left out; -1 where none were."""
        self.index_ttl_s = index_ttl_s
        """It may become shorter; for a longer one rows would have to come back."""
        self._table_ttl_s = -1
        self._clock = clock

    @property
    def table_ttl_s(self) -> int:
        return self._table_ttl_s

    @table_ttl_s.setter
    def table_ttl_s(self, ttl_s: int) -> None:
        self._table_ttl_s = ttl_s
        self.dropped_by_s = least(self.dropped_by_s, ttl_s)

    def filled(self) -> None:
        """All rows of the table have been taken in: what had been left out, too, and was back."""
        self.dropped_by_s = self._table_ttl_s

    @property
    def rows_since_ms(self) -> int | None:
        """Rows last written before that have expired; None where none expire."""
        return self._before_now_ms(least(self.index_ttl_s, self._table_ttl_s))

    @property
    def values_since_ms(self) -> int | None:
        """Values written before that have expired; None where none expire."""
        return self._before_now_ms(self._table_ttl_s)

    def _before_now_ms(self, ttl_s: int) -> int | None:
        return None if ttl_s < 0 else self._clock.now_us() // 1_000 - 1_000 * ttl_s


def least(*ttls_s: int) -> int:
    """The shortest of some times to live; -1 where all are for ever."""
    return min((ttl_s for ttl_s in ttls_s if ttl_s >= 0), default=-1)
