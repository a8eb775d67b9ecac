"""What nodes tell each other, and no client is ever told."""

from __future__ import annotations

from typing import Final

from lutra.model.errors import LutraError


class Moved(LutraError):
    """The partition is not here, or not surely: nothing was done. Read the map and the leases, and ask its owner."""


class PeerUnreachable(LutraError):
    """Another node could not be asked: what was wanted was surely not done."""


class PeerLost(LutraError):
    """Another node was asked and did not answer: whether what was wanted was done is not known."""


AWAY: Final = (Moved, PeerUnreachable, PeerLost)
"""The partition may be elsewhere, or come to be: what was not done, or may be repeated, is tried again."""
