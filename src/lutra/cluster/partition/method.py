"""One thing that can be asked of a partition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lutra.cluster.methods import PeerLane


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Codec:
    """How something is sent, where the general form (`lutra.cluster.wire`) would be slow: ``pack`` makes of it what
    that form takes at once, ``unpack`` makes of that what it was."""

    pack: Callable[[Any], Any] = _as_it_is
    unpack: Callable[[Any], Any] = _as_it_is


PLAIN: Final = Codec()


@dataclass(frozen=True, slots=True)
class PartitionMethod:
    """``call(owned, *arguments)`` is made by the owner, ``owned`` being its `lutra.cluster.host.OwnedPartition`.

    ``writes``: it may change what the partition holds, so it waits while writes are paused. ``repeats``: a second call
    finds done what the first one did, so it is repeated where its outcome is not known. ``arguments`` and ``result``:
    how they are sent, the arguments as a tuple.
    """

    lane: PeerLane
    call: Callable[..., Any]
    writes: bool = False
    repeats: bool = False
    arguments: Codec = PLAIN
    result: Codec = PLAIN

    @property
    def is_safe(self) -> bool:
        """Whether it may be called again where it is not known whether it was done."""
        return self.repeats or not self.writes
