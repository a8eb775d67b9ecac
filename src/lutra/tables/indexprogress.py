"""How much of its table a secondary index has, as the store holds it: JSON with a format version.

A local index has it only while it is filled; a global one always, in the commit of the rows that it tells of.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from lutra.model.errors import Corruption

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """Changes up to sequence ``position`` are in it, and all rows where ``is_filled``, else those up to ``through``.

    ``is_shown``: it has been filled once, and is read. ``rows``: how many it has, of a global one. ``ttl_s``: the
    table's time to live, by which rows were left out, -1: for ever.
    """

    position: int = 0
    is_filled: bool = False
    through: bytes | None = None
    is_shown: bool = False
    rows: int = 0
    ttl_s: int = -1

    def to_json(self) -> bytes:
        """The stored form."""
        return json.dumps(
            {
                "format": _FORMAT,
                "position": self.position,
                "is_filled": self.is_filled,
                "through": None if self.through is None else self.through.hex(),
                "is_shown": self.is_shown,
                "rows": self.rows,
                "ttl_s": self.ttl_s,
            }
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> IndexProgress:
        """Raises Corruption where ``data`` is not what `to_json` wrote, or of a format this version does not know."""
        try:
            stored = json.loads(data)
            if stored["format"] != _FORMAT:
                raise Corruption(f"the progress of an index has format {stored['format']!r}; this version: {_FORMAT}")
            through = stored["through"]
            return cls(
                int(stored["position"]),
                bool(stored["is_filled"]),
                None if through is None else bytes.fromhex(through),
                bool(stored["is_shown"]),
                int(stored["rows"]),
                int(stored["ttl_s"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"the progress of an index cannot be read: {error!r}") from error
