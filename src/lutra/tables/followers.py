"""What is kept beside the rows of a table, by its definition."""

from __future__ import annotations

from lutra.model.schema import IndexKind
from lutra.tables import keyspace
from lutra.tables.effects import Follower
from lutra.tables.localindex import LocalIndex
from lutra.tables.stream_record import StreamFollower
from lutra.tables.table import Table


def attach_followers(table: Table) -> None:
    """Has whoever changes rows of ``table`` tell them: before anybody can."""
    followers: list[Follower] = [LocalIndex(rows) for rows in table.indexes if rows.index.kind is IndexKind.LOCAL]
    spec = table.schema.stream
    if spec is not None:
        prefix = keyspace.stream_prefix(table.table_id, table.description.stream_created_us)
        followers.append(StreamFollower(prefix, spec))
    table.followers = tuple(followers)
    table.needs_old = any(follower.needs_old for follower in followers)
