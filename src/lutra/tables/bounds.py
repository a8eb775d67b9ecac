"""Which rows of a store are meant, where it may hold others that are not its own any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lutra.kv.store import prefix_end
from lutra.model.values import KeyValue
from lutra.tables.keys import KeyCodec


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """Rows by their partition key: from ``begin`` on, below ``end``; None: there is no such bound."""

    begin: KeyValue | None = None
    end: KeyValue | None = None

    def of_table(self, keys: KeyCodec) -> tuple[bytes, bytes]:
        """Where stored keys of a table, or of a local index, begin and end that are within."""
        return self.within(keys, keys.prefix, prefix_end(keys.prefix))

    def within(self, keys: KeyCodec, begin: bytes, end: bytes) -> tuple[bytes, bytes]:
        """What of [begin, end) is within; where that is nothing, the end is the begin."""
        if self.begin is not None:
            begin = max(begin, keys.encode_partition_value(self.begin))
        if self.end is not None:
            end = min(end, keys.encode_partition_value(self.end))
        return begin, max(begin, end)


EVERYWHERE: Final = KeyBounds()
