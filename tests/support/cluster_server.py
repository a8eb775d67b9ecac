"""A cluster in the place of one server, for the same tests: clients ask its nodes in turn, and tables that they make
begin with several partitions."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import tablestore as ots
from support.node_cluster import NodeCluster
from support.stirring import Stirring

SPLIT_POINTS: Final[dict[str, tuple[Any, ...]]] = {
    "INTEGER": (2, 40),
    "STRING": ("3", "aa", "p"),
    "BINARY": (bytearray(b"\x01"), bytearray(b"m")),
}
"""Of tables, by the type of their first key column: among the keys that tests use."""
_WITHOUT_POINTS: Final = 4
"""Arguments after a table's meta."""


def _with_split_points(operation: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a request, which say where a table is to be cut where it makes one."""
    if operation != "CreateTable":
        return given
    meta, *rest = given
    key = meta.schema_of_primary_key
    points = SPLIT_POINTS.get(key[0][1]) if key else None
    says_where = len(rest) > _WITHOUT_POINTS
    return given if points is None or says_where else (*given, points)


class SplitClient(ots.OTSClient):  # type: ignore[misc]
    """The official client; it has no argument for what its encoder can send."""

    def _request_helper(self, operation: str, *given: Any, **named: Any) -> Any:
        return super()._request_helper(operation, *_with_split_points(operation, given), **named)


class AsyncSplitClient(ots.AsyncOTSClient):  # type: ignore[misc]
    """The same, for asyncio."""

    async def _request_helper(self, operation: str, *given: Any, **named: Any) -> Any:
        return await super()._request_helper(operation, *_with_split_points(operation, given), **named)


class ClusterServer:
    """Three nodes; in the shape of `support.server.ServerProcess`, as far as tests that share one need it.

    ``is_stirred``: partitions split and nodes are replaced meanwhile; clients ask the one that stays.
    """

    def __init__(self, folder: Path, *, is_stirred: bool = False) -> None:
        self.cluster = NodeCluster(folder)
        self._turns = itertools.cycle([0] if is_stirred else range(len(self.cluster.nodes)))
        self._is_stirred = is_stirred
        self._stirring: Stirring | None = None

    def __enter__(self) -> ClusterServer:
        self.cluster.__enter__()
        if self._is_stirred:
            self._stirring = Stirring(self.cluster)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stirring is not None:
            self._stirring.stop()
            print(f"\nsplit {self._stirring.splits} times, {self._stirring.replaced} nodes replaced")
        self.cluster.close()

    @property
    def endpoint(self) -> str:
        return self.cluster.nodes[next(self._turns)].endpoint

    @property
    def instance(self) -> str:
        return self.cluster.instance

    def log_text(self) -> str:
        return self.cluster.log_text()

    def client(self, **options: Any) -> ots.OTSClient:
        return SplitClient(**self.cluster.client_options(next(self._turns), options))

    def async_client(self, **options: Any) -> ots.AsyncOTSClient:
        return AsyncSplitClient(**self.cluster.client_options(next(self._turns), options))
