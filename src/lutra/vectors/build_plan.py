"""What a segment gets besides its vectors: decided by how many there are and how long they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lutra.vectors.layout import DEGREE_MAX, SegmentKind

FLAT_BYTES_MAX: Final = 1024 * 1024
"""Vectors that are read in one batch of 16 and compared with in 0.03 ms: a re-rank by codes would read as often."""
CODES_ROWS_MAX: Final = 20_000
"""Codes that one core scans in 0.17 ms at 128 dimensions and in 0.33 ms at 960, about what the re-rank's reads take
that follow on a walk too; 40,000 take twice that, a walk 0.05 ms."""
CODE_BITS_2_DIMENSION_MIN: Final = 384
"""From here on 2 bits a dimension put the true ten among the best 15 to 25; below it takes 4 (design note 0003)."""
LISTS_DIMENSION_MAX: Final = 256
"""Up to here a graph takes as much memory as the codes or more, so that a tenth of hnswlib's holds codes and lists
alone; and lists are about as fast as a walk where all is in memory (200,000 x 128: 0.25 ms and 0.22). Beyond, codes and
graph fit, and a walk looks at fewer of the longer codes. In a store far away rows lie in lists in any case."""
CENTRES_MAX: Final = 1_024
RECORD_BYTES_MIN: Final = 16
RECORD_BYTES_MAX: Final = 4_104


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What is built: codes where the kind has them, and what follows ``code_bytes`` where it has a graph."""

    kind: SegmentKind
    code_bits: int
    """1, 2, 4 or 8 a dimension, of codes without a basis."""
    code_bytes: int | None = None
    """Of a record, of codes along the directions of a basis. None: what a sample of the vectors asks for, beside a
    graph and where there are enough of them; 0: no basis."""
    fine_bytes: int | None = None
    """Of a record of the finer codes beside those. None: what the sample asks for; 0: none."""
    centres: int | None = None
    """That codes without a basis are taken against. None: as many as a sample asks for, one where it does not."""
    has_lists: bool = False
    """Whether rows are put in lists (`lutra.vectors.list_format`), and so in another order than they are given."""
    degree: int = 32
    """Neighbours a row at most."""
    beam: int = 100
    """Width of the search for a new row's neighbours."""
    alpha: float = 1.2
    """An edge is left out where a kept one is so many times nearer."""

    def __post_init__(self) -> None:
        if self.code_bits not in (1, 2, 4, 8):
            raise ValueError(f"codes have 1, 2, 4 or 8 bits a dimension, not {self.code_bits}")
        if self.centres is not None and not 1 <= self.centres <= CENTRES_MAX:
            raise ValueError(f"there are 1 to {CENTRES_MAX} centres, not {self.centres}")
        for record_bytes in (self.code_bytes, self.fine_bytes):
            if record_bytes and not RECORD_BYTES_MIN <= record_bytes <= RECORD_BYTES_MAX:
                raise ValueError(f"a record has {RECORD_BYTES_MIN} to {RECORD_BYTES_MAX} bytes, not {record_bytes}")
        if self.has_lists and self.kind is SegmentKind.FLAT:
            raise ValueError("a segment without codes has no lists")
        if not 1 <= self.degree <= DEGREE_MAX:
            raise ValueError(f"degree is 1 to {DEGREE_MAX}, not {self.degree}")


def choose_kind(rows: int, dimension: int) -> SegmentKind:
    """Flat for few rows, codes for a medium number, a graph for many."""
    if 4 * rows * dimension <= FLAT_BYTES_MAX:
        return SegmentKind.FLAT
    return SegmentKind.CODES if rows <= CODES_ROWS_MAX else SegmentKind.GRAPH


def choose_code_bits(dimension: int) -> int:
    """2 or 4 bits a dimension."""
    return 2 if dimension >= CODE_BITS_2_DIMENSION_MIN else 4


def choose_plan(rows: int, dimension: int, *, may_reorder: bool = False, is_far: bool = False) -> BuildPlan:
    """What a segment of ``rows`` vectors of ``dimension`` gets, where nobody says.

    ``may_reorder``: whether its rows may be written in another order than they are given: in lists, where these pay.
    ``is_far``: whether it will be read from a store far away: by lists it is searched before its codes are here.
    """
    kind = choose_kind(rows, dimension)
    has_lists = may_reorder and kind is SegmentKind.GRAPH and (is_far or dimension <= LISTS_DIMENSION_MAX)
    return BuildPlan(kind, choose_code_bits(dimension), has_lists=has_lists)
