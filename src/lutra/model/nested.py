"""Queries for documents within rows: the objects of NESTED fields, and of JSON fields of that type."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lutra.model import limits

if TYPE_CHECKING:
    from lutra.model.queries import Fragments, Highlight, Query, Sorter


class ScoreMode(enum.IntEnum):
    """What a row scores by its documents that match; the numbers are the protocol's. NONE: nothing."""

    NONE = 1
    AVG = 2
    MAX = 3
    TOTAL = 4
    MIN = 5


@dataclass(frozen=True, slots=True)
class InnerHits:
    """Which of a row's documents that match come with it: the first in the order of ``sort``, or the best.

    Those that tie come by their places in the array. ``highlight`` is of their TEXT fields, by full path.
    """

    sort: tuple[Sorter, ...] = ()
    offset: int = 0
    limit: int = limits.INNER_HITS_DEFAULT
    highlight: Highlight | None = None


@dataclass(frozen=True, slots=True)
class Nested:
    """Rows that hold a document that matches ``query``, in the nested field whose full path is ``path``.

    Inside ``query`` fields go by their full paths, and are of that document, or of nested fields below it. Its score is
    made of those of the documents that match, by ``mode``.
    """

    path: str
    query: Query
    mode: ScoreMode = ScoreMode.AVG
    weight: float = 1.0
    inner_hits: InnerHits | None = None


@dataclass(frozen=True, slots=True)
class NestedFilter:
    """Of a row's documents in the nested field at ``path`` those that match ``filter``."""

    path: str
    filter: Query


@dataclass(frozen=True, slots=True)
class InnerHit:
    """A document within a row, or within such a document.

    ``offsets``: its place in the array it is of, from 0, nulls left out; where the path leads through several arrays,
    in each of them, the outermost first. ``score`` is NaN where the order is by others.
    """

    offsets: tuple[int, ...]
    score: float
    inner: InnerHitsByPath
    """What of it matches below it, by full path."""
    highlights: Fragments = field(default_factory=dict)
    """By full path, where they were asked for."""


InnerHitsByPath = dict[str, list[InnerHit]]
