"""What the leases of a cluster say, as they are stored: JSON with a format version."""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from lutra.cluster.process import Process
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.objects.name import is_part

NODES: Final = "nodes"
"""The folder of the nodes' leases."""
LEASES: Final = "leases"
"""The folder of the partitions' leases."""
NODE_NAME_CHARS_MAX: Final = 64
CAPACITY_MAX: Final = 16

_FORMAT: Final = 1


class NodeState(enum.Enum):
    """The values are stored."""

    ALIVE = "alive"
    LEAVING = "leaving"
    """It serves what it has, and hands it over: it is to be given nothing."""
    LEFT = "left"
    """It has stopped by itself."""
    DEAD = "dead"
    """Others took it for dead: it has not renewed its lease in time."""

    @property
    def is_over(self) -> bool:
        """Whether partitions that it owned are anybody's."""
        return self in (NodeState.LEFT, NodeState.DEAD)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What a node's lease says. ``incarnation``: the number by which this run joined; later runs have larger ones.

    ``address``: where other nodes reach it. ``ttl_s``: it renews its lease so often that others may take it for dead
    when they have seen it unchanged for longer. ``capacity``: how many shares of the partitions it takes. ``process``:
    that it is, for people, and for who stops it.
    """

    incarnation: int
    address: str
    ttl_s: float
    capacity: int = 1
    process: Process | None = None
    state: NodeState = NodeState.ALIVE

    def to_json(self) -> bytes:
        """The stored form."""
        return json.dumps(
            {
                "format": _FORMAT,
                "incarnation": self.incarnation,
                "address": self.address,
                "ttl_s": self.ttl_s,
                "capacity": self.capacity,
                "process": None if self.process is None else asdict(self.process),
                "state": self.state.value,
            }
        ).encode()

    @staticmethod
    def from_json(data: bytes) -> NodeRecord:
        """Raises Corruption where ``data`` is not what `to_json` wrote, or of a format this version does not know."""
        try:
            stored = _stored(data)
            return NodeRecord(
                int(stored["incarnation"]),
                stored["address"],
                float(stored["ttl_s"]),
                int(stored["capacity"]),
                None if stored["process"] is None else Process(**stored["process"]),
                NodeState(stored["state"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"a node's lease cannot be read: {error!r}") from error


@dataclass(frozen=True, slots=True)
class PartitionRecord:
    """What a partition's lease says: it is of that run of a node, as long as that is not over.

    ``is_released``: it was, and is now anybody's, first of all that of the node ``successor`` where one is named.
    """

    node: str
    incarnation: int
    is_released: bool = False
    successor: str | None = None

    def to_json(self) -> bytes:
        """The stored form."""
        return json.dumps(
            {
                "format": _FORMAT,
                "node": self.node,
                "incarnation": self.incarnation,
                "is_released": self.is_released,
                "successor": self.successor,
            }
        ).encode()

    @staticmethod
    def from_json(data: bytes) -> PartitionRecord:
        """Raises Corruption, as `NodeRecord.from_json`."""
        try:
            stored = _stored(data)
            return PartitionRecord(
                stored["node"], int(stored["incarnation"]), bool(stored["is_released"]), stored["successor"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"a partition's lease cannot be read: {error!r}") from error


def require_node_name(name: str) -> str:
    """``name``, where a node may be called so. Raises ParameterInvalid."""
    if not is_part(name) or len(name) > NODE_NAME_CHARS_MAX:
        raise ParameterInvalid(
            f"not the name of a node: {name!r}: 1 to {NODE_NAME_CHARS_MAX} of letters, digits, '.', '_' and '-'"
        )
    return name


def _stored(data: bytes) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(data)
    if stored["format"] != _FORMAT:
        raise Corruption(f"a lease has format {stored['format']!r}; this version reads {_FORMAT}")
    return stored
