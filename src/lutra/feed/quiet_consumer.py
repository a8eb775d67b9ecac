"""What consumers have in common that show nothing of their own: rows of the store are all that they write."""

from __future__ import annotations

from collections.abc import Callable

from lutra.model.rows import PrimaryKey
from lutra.model.schema import TableDescription
from lutra.model.values import INT64_MAX
from lutra.tables.keys import KeyCodec


class QuietConsumer:
    """A part of `lutra.feed.consumer.ChangeConsumer`, of one table. It is never torn: there is nothing to show."""

    needs_expired: bool = False
    indexed_position: int = INT64_MAX
    waiting: int = 0
    error: str | None = None
    is_torn: bool = False

    def __init__(self, table: TableDescription) -> None:
        self._table = table
        self._keys = KeyCodec(b"", table.schema.key)
        self.on_due: Callable[[], None] = lambda: None
        self.on_progress: Callable[[], None] = lambda: None
        self.is_open = False

    @property
    def table(self) -> str:
        return self._table.schema.name

    @property
    def table_id(self) -> int:
        return self._table.table_id

    def keep_showing(self) -> None:
        """It is never torn."""

    def begin_again(self) -> Callable[[], object]:
        """It is never torn."""
        return lambda: None

    def shows_all(self) -> None:
        """What it has written is shown by who reads the rows."""

    def require_writer(self) -> None:
        """Who writes to the store writes to its rows."""

    def follow_ttl(self, table_ttl_s: int) -> None:
        """What has expired is not read."""

    def drop_expired(self) -> None:
        """What has expired is not read, as in the table."""

    def outdated(self, count: int) -> list[PrimaryKey]:
        """None: what it writes expires as all of a row does."""
        return []

    def encode(self, key: PrimaryKey) -> bytes:
        return self._keys.encode(key)

    def decode(self, key: bytes) -> PrimaryKey:
        return self._keys.decode(key)
