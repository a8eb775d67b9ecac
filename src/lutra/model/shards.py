"""A search of rows that are shared out to several places, its shards: what one is asked, and what it says.

Most searches take one step (`ShardStep.WHOLE`). Where something must be known of all shards before one of them can
say which rows are the first, as how often a word is in all of them, a search takes several, between which a shard keeps
what it sees in a session.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from zlib import crc32

from lutra.model.indexes import IndexSchema
from lutra.model.nested import InnerHitsByPath
from lutra.model.queries import Fragments, SearchRequest, SearchStats
from lutra.model.rows import Row


class ShardStep(enum.IntEnum):
    """What a shard is to do. WHOLE: all of it, with the rows of its hits."""

    WHOLE = 1
    GATHER = 2
    """Say what must be known of all shards first."""
    COLLECT = 3
    """With what is known of all shards: find the first rows, count, aggregate."""
    FETCH = 4
    """Give the rows of some of the hits."""


@dataclass(frozen=True, slots=True)
class ShardCall:
    """One step. The first of a search has its ``request``, those after it the ``session`` that the first was told."""

    step: ShardStep
    request: SearchRequest | None = None
    seed: int | None = None
    """Of random scores that have none of their own."""
    session: bytes = b""
    known: bytes = b""
    """Of all shards: `lutra.search.gathered.Known`; empty where nothing has to be."""
    reads_rows: bool = True
    """Whether hits come with their rows; else these are fetched."""
    chosen: tuple[int, ...] = ()
    """Of the hits that the shard found last, those whose rows are fetched, by number."""
    schema_mark: int = 0
    """Of the schema that the search was checked against (`lutra.model.shards.schema_mark_of`); 0: any will do."""


def schema_mark_of(schema: IndexSchema) -> int:
    """The same for schemas under which a search means the same: of the same fields and order."""
    return crc32(repr((schema.fields, schema.sort)).encode()) or 1


@dataclass(slots=True)
class ShardReply:
    """What one step came to. Hits are the first ``offset + limit`` of the shard, whichever of them the page shows."""

    session: bytes = b""
    is_behind: bool = False
    """Rows that were found are gone. The session sees that from now on: it is to be asked to collect again."""
    gathered: bytes = b""
    """`lutra.search.gathered.Gathered`; empty where nothing has to be known of all shards."""
    hits: bytes = b""
    """The state of the search's collector of first rows: their scores and sort keys."""
    total: int = -1
    aggregated: bytes = b""
    """The state of the search's aggregations; empty where there are none."""
    aggregating_us: float = 0.0
    rows: list[Row | None] | None = None
    """Of the hits, or of those that were chosen; None where they were not read. One is None where the row is gone and
    there was no time to look for another in its place."""
    highlights: list[Fragments] = field(default_factory=list)
    inner_hits: list[InnerHitsByPath] = field(default_factory=list)
    stats: SearchStats = field(default_factory=SearchStats)
    is_complete: bool = True
    other_schema: IndexSchema | None = None
    """Searches go by another schema than that of the call's mark, this one: nothing was done."""
