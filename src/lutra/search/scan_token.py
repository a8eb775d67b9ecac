"""What a client of a scan hands back to get the next page: where in the view of its session that begins.

As a search's token it is checked, not secret: a version byte, JSON, and a CRC-32 over both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lutra.model.errors import ParameterInvalid
from lutra.search.scan import Position
from lutra.search.token import sealed, unsealed

_VERSION: Final = b"\x81"


@dataclass(frozen=True, slots=True)
class ScanToken:
    session: bytes
    position: Position

    def encode(self) -> bytes:
        """The opaque bytes."""
        content = [self.session.decode("latin-1"), self.position.part, self.position.doc]
        return sealed(_VERSION, content)

    @classmethod
    def decode(cls, data: bytes) -> ScanToken:
        """Raises ParameterInvalid for what `encode` did not make."""
        match unsealed(_VERSION, data):
            case [str(session), int(part), int(doc)] if part >= 0 and doc >= 0:
                return cls(session.encode("latin-1", "replace"), Position(part, doc))
        raise ParameterInvalid("[token] is invalid")
