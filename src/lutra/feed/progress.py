"""How much of its table an index has taken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Progress:
    """Changes up to sequence ``position`` are taken in, and all rows where ``filled``.

    Else rows up to the encoded key ``filled_through`` (None: none yet), as they were at ``position`` or later: changes
    after it are still needed for them.
    """

    position: int = 0
    filled: bool = False
    filled_through: bytes | None = None


NO_PROGRESS: Final = Progress()
