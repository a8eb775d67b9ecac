"""Search requests: the query tree, sorting, what to return, and the answer."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoDistanceSort, GeoPolygon
from lutra.model.nested import InnerHitsByPath, Nested, NestedFilter
from lutra.model.rows import PrimaryKey, Row
from lutra.model.scoring import ScoringQuery
from lutra.model.values import Value

if TYPE_CHECKING:
    from lutra.model.aggregations import Aggregated, Aggregation, GroupBy

Operand = Value | dt.datetime
"""What a field is compared with. It need not be a value that the field can hold: 0.5 compares with a LONG field.

A datetime has a zone; it goes with DATE fields, of whatever formats.
"""


@dataclass(frozen=True, slots=True)
class MatchAll:
    """Every row, with score 1."""


@dataclass(frozen=True, slots=True)
class Term:
    """Rows whose field equals ``value`` (any element of an array)."""

    field: str
    value: Operand
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Rows whose field equals one of ``values``."""

    field: str
    values: tuple[Operand, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Range:
    """Rows whose field lies between the bounds; None leaves a side open."""

    field: str
    lower: Operand | None = None
    upper: Operand | None = None
    include_lower: bool = True
    include_upper: bool = True


@dataclass(frozen=True, slots=True)
class Prefix:
    """Rows whose KEYWORD field starts with ``prefix``, or whose TEXT field has a word that does."""

    field: str
    prefix: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Suffix:
    """Rows whose KEYWORD field ends with ``suffix``, or whose TEXT field has a word that does."""

    field: str
    suffix: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Rows whose KEYWORD field as a whole, or a word of whose TEXT field, is like ``pattern``.

    In it ``*`` stands for any characters, none too, and ``?`` for one; nothing takes their meaning from them.
    """

    field: str
    pattern: str
    weight: float = 1.0


class Operator(enum.IntEnum):
    """How many of the words of a text must be there, any or all; the numbers are the protocol's QueryOperator."""

    OR = 1
    AND = 2


@dataclass(frozen=True, slots=True)
class Match:
    """Rows whose TEXT field has words of ``text``, cut as the field is; of a KEYWORD field, those that equal it.

    ``minimum_should_match`` is as in Bool, counts words, goes with OR only, and is 1 where it is None.
    """

    field: str
    text: str
    operator: Operator = Operator.OR
    minimum_should_match: int | str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class MatchPhrase:
    """Rows whose TEXT field has all words of ``text``, as near to each other, in that order, as they are there.

    ``slop``: by how many places in all words may be elsewhere. Of a KEYWORD field, those that equal ``text``.
    """

    field: str
    text: str
    slop: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Exists:
    """Rows that have a value in the field: an array has at least one element, and what is of another type is none."""

    field: str


@dataclass(frozen=True, slots=True)
class Bool:
    """Combines queries. Scores of ``must`` and ``should`` add; ``filter`` and ``must_not`` do not score.

    ``minimum_should_match`` None means 1 where there is neither ``must`` nor ``filter``, else 0. A string is the
    protocol's newer form: a count (``"2"``, ``"-1"``), a share (``"75%"``, ``"-25%"``), or conditional
    (``"2<75%"``), as Lucene reads it.
    """

    must: tuple[Query, ...] = ()
    must_not: tuple[Query, ...] = ()
    filter: tuple[Query, ...] = ()
    should: tuple[Query, ...] = ()
    minimum_should_match: int | str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class KnnVector:
    """The ``top_k`` rows nearest to ``vector`` (float32, of the field's dimension) among those .`filter`` passes.

    Score times ``weight``. With a ``min_score``, be it 0, only rows that score more are kept, both as float32: a score
    handed back leaves out every row that has it. None keeps all. ``num_candidates`` trades time for recall where the
    search is approximate.
    """

    field: str
    vector: npt.NDArray[np.float32]
    top_k: int
    filter: Query | None = None
    weight: float = 1.0
    min_score: float | None = None
    num_candidates: int | None = None


Query = (
    MatchAll
    | Term
    | Terms
    | Range
    | Prefix
    | Suffix
    | Wildcard
    | Match
    | MatchPhrase
    | Exists
    | Bool
    | KnnVector
    | ScoringQuery
    | GeoBoundingBox
    | GeoDistance
    | GeoPolygon
    | Nested
)


class SortMode(enum.IntEnum):
    """Which element of an array sorts it; the numbers are the protocol's."""

    MIN = 0
    MAX = 1
    AVG = 2


@dataclass(frozen=True, slots=True)
class ScoreSort:
    descending: bool = True


@dataclass(frozen=True, slots=True)
class PrimaryKeySort:
    descending: bool = False


@dataclass(frozen=True, slots=True)
class DocSort:
    """By whatever order takes least, that stays the same from page to page: of rows, by primary key."""

    descending: bool = False


class Missing(enum.Enum):
    """Where rows come that have no value to sort by, whichever way round the others are."""

    FIRST = "_first"
    LAST = "_last"


@dataclass(frozen=True, slots=True)
class FieldSort:
    """By a field. Rows without it sort as the first of ``missing_fields``, of the same type, that they have.

    Those that have none sort as the value ``missing``, or come where it says: last where it is None. A ``missing`` that
    the field cannot hold stands for the next lower value that it can.

    With a ``nested_filter`` the fields are of documents within a row, at its path: those of them that match it count as
    values of the row.
    """

    field: str
    descending: bool = False
    mode: SortMode | None = None
    missing: Value | Missing | None = None
    missing_fields: tuple[str, ...] = ()
    nested_filter: NestedFilter | None = None


Sorter = ScoreSort | PrimaryKeySort | FieldSort | DocSort | GeoDistanceSort


class ReturnColumns(enum.IntEnum):
    """The numbers are the protocol's ColumnReturnType."""

    ALL = 1
    SPECIFIED = 2
    NONE = 3
    ALL_FROM_INDEX = 4


@dataclass(frozen=True, slots=True)
class ColumnsToGet:
    """Which attribute columns a hit carries; ``names`` goes with SPECIFIED."""

    kind: ReturnColumns = ReturnColumns.NONE
    names: tuple[str, ...] = ()


class HighlightEncoder(enum.IntEnum):
    """What becomes of the text around the tags; the numbers are the protocol's. HTML escapes what it has a use for."""

    PLAIN = 1
    HTML = 2


class FragmentOrder(enum.IntEnum):
    """How the fragments of a text are ordered; the numbers are the protocol's. SCORE: the best first."""

    TEXT_SEQUENCE = 1
    SCORE = 2


@dataclass(frozen=True, slots=True)
class HighlightField:
    """A TEXT field whose words that match are shown: in up to ``fragments`` pieces of about ``fragment_chars``."""

    field: str
    fragments: int = 5
    fragment_chars: int = 100
    pre_tag: str = "<em>"
    post_tag: str = "</em>"
    order: FragmentOrder = FragmentOrder.TEXT_SEQUENCE


@dataclass(frozen=True, slots=True)
class Highlight:
    """What of a hit's texts is shown. A field that the query does not ask about has no fragments."""

    fields: tuple[HighlightField, ...]
    encoder: HighlightEncoder = HighlightEncoder.PLAIN


Fragments = dict[str, list[str]]
"""Of one row: the fragments of each field that has any."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. ``sort`` empty means by primary key; ``token`` continues an earlier search, its sort included.

    Of rows with the same value of the field ``collapse`` only the first comes, those without one counting as equal.
    ``filter`` leaves out rows of those that the query finds, and scores nothing: of neighbours, too, after they are
    found.
    """

    query: Query
    sort: tuple[Sorter, ...] = ()
    offset: int = 0
    limit: int | None = None
    token: bytes | None = None
    count_total: bool = False
    count_max: int | None = None
    """The total need not be known beyond that; None: it is to be exact."""
    columns: ColumnsToGet = ColumnsToGet()
    timeout_ms: int | None = None
    explain: bool = False
    """Whether the answer tells what was done, and why: `SearchStats.explanation`."""
    samples_recall: bool = False
    """Whether that also tells how many of the true neighbours were found: each part is searched once more for it."""
    highlight: Highlight | None = None
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()
    """Both of all rows that match, whichever page is returned."""
    collapse: str | None = None
    filter: Query | None = None
    allow_partial: bool = False
    """Whether what was found by the time-out is an answer, where something was, rather than RequestTimeout."""
    is_fresh: bool = False
    """Whether the index is to have every write acknowledged before. It may take half of the time to catch up; where
    that is not enough, the answer is not complete, or RequestTimeout is raised where no part of one is wanted."""
    recall_target: float | None = None
    """The share of the true neighbours that its searches for vectors are to find, on average; None: as the index says.
    Where one names its candidates, these say it."""


@dataclass(slots=True)
class PartStats:
    """What a search did in one part of an index: in a buffer, or in a segment."""

    rows: int
    strategy: str = "columns"
    """How neighbours were looked for; ``block_max`` where the best of some words were; else ``columns``."""
    distances: int = 0
    reads: int = 0
    """Requests to the disk, or blocks asked of the cache, in search of neighbours."""
    bytes: int = 0
    recall: float | None = None
    """Of the ten nearest, as the segment's build checked its searches; None where it did not, as in a buffer."""
    fallback: str = ""
    """``scan`` or ``exact``: why the strategy is that, where what would be planned was found to miss too much."""
    exact_rows: int = 0
    """That every search compares, as codes do not describe them."""
    conditions: int = 0
    """Of the query, whose documents were listed: each once, however often it comes."""
    is_complete: bool = True
    """Whether the time was enough for all that was to be done in it."""


@dataclass(slots=True)
class SearchStats:
    """What a search did: in all parts together, and in each of ``parts``.

    ``strategy`` names those of the parts, each once, in order of the alphabet, with a ``+`` between them.
    """

    strategy: str = ""
    rows_scanned: int = 0
    distances: int = 0
    reads: int = 0
    bytes: int = 0
    parts: list[PartStats] = field(default_factory=list)

    explanation: dict[str, Any] | None = None
    """Where it was asked for: by part the tree of the query, what was thought of each condition and what came of it.
    Fit for JSON; `lutra.search.explanation` says more."""

    @classmethod
    def of(cls, parts: list[PartStats]) -> SearchStats:
        """The sums of ``parts``."""
        if len(parts) == 1:
            only = parts[0]
            return cls(only.strategy, only.rows, only.distances, only.reads, only.bytes, parts)
        return cls(
            strategy="+".join(sorted({part.strategy for part in parts})),
            rows_scanned=sum(part.rows for part in parts),
            distances=sum(part.distances for part in parts),
            reads=sum(part.reads for part in parts),
            bytes=sum(part.bytes for part in parts),
            parts=parts,
        )


@dataclass(slots=True)
class SearchResult:
    """``scores`` goes with ``rows``; NaN unless the search sorted by score. ``total`` is -1 where not asked for.

    Where it is not ``is_complete``, the time was up before the index was searched through: rows are the best of those
    that were looked at by then, at least ``total`` match, and aggregations are of some rows only. ``next_token`` is
    empty where nothing follows, and where that is not known. ``highlights`` and ``inner_hits`` go with ``rows`` where
    the search asked for them, and are empty where it did not.
    """

    rows: list[Row]
    scores: list[float]
    total: int = -1
    next_token: bytes = b""
    stats: SearchStats = field(default_factory=SearchStats)
    highlights: list[Fragments] = field(default_factory=list)
    inner_hits: list[InnerHitsByPath] = field(default_factory=list)
    aggregated: Aggregated | None = None
    """Where the search has aggregations or group-bys."""
    is_complete: bool = True


class Hit(NamedTuple):
    """One row of an answer before its columns are fetched."""

    key: PrimaryKey
    score: float
