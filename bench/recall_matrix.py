"""All that `bench.recall` is to show: the gallery at every dimension, by every metric, in every kind of index.

Run by ``python -m bench.recall --all``; takes an hour or two. Every picture is hung in a cell of one dimension and one
metric, in each of the cell's kinds; filters are asked in cells of 64 dimensions. Long vectors come in fewer rows, short
ones in more, as fewer would lie flat; turnovers in fewer, as they build the index twenty times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gallery import Picture
from bench.recall import SLOWER, TARGET, Clock, Hung, Kind, Size, hang, line_of, write
from lutra.model.indexes import Metric


@dataclass(frozen=True, slots=True)
class Cell:
    """Kinds that are hung with the same rows."""

    dimension: int
    metric: Metric
    kinds: tuple[Kind, ...]
    share: float = 1.0
    """Of the rows asked for."""
    filtered: bool = False

    def __str__(self) -> str:
        return f"{self.dimension} dimensions, {self.metric.name.lower()}, {'+'.join(self.kinds)}"


_SEGMENTS: Final = (Kind.CODES, Kind.GRAPH)
CELLS: Final = (
    *(Cell(64, metric, _SEGMENTS, filtered=True) for metric in Metric),
    *(Cell(64, metric, (Kind.MIXTURE,), filtered=metric is Metric.EUCLIDEAN) for metric in Metric),
    *(Cell(64, metric, (Kind.TURNOVER,), share=0.4) for metric in Metric),
    *(Cell(8, metric, _SEGMENTS, share=4.0) for metric in Metric),
    *(Cell(128, metric, _SEGMENTS) for metric in Metric),
    *(Cell(384, metric, _SEGMENTS, share=0.5) for metric in Metric),
    *(Cell(960, metric, _SEGMENTS, share=0.5) for metric in Metric),
)


def hang_all(
    pictures: Sequence[Picture], cells: Sequence[str], rows: int, queries: int, clock: Clock | None, path: Path | None
) -> int:
    """Hangs ``pictures`` in the cells whose names hold one of ``cells`` and prints what was found, the summary last.

    Returns 1 where something falls short or is slow, else 0. What was found so far is in ``path`` after each picture.
    """
    hung: list[Hung] = []
    for cell in CELLS:
        if not any(part in str(cell) for part in cells):
            continue
        print(f"\n{cell}", flush=True)
        size = Size(int(cell.share * rows), queries, cell.dimension)
        for picture in pictures:
            filtered = cell.filtered and not picture.spoil and picture.queries is None
            found = hang(picture, size, cell.metric, cell.kinds, filtered=filtered, clock=clock)
            hung += found
            print("\n".join(map(line_of, found)), flush=True)
            write(hung, path)
    print("\n" + summary(hung))
    return int(any(one.falls_short or one.is_slow for one in hung))


def summary(hung: Sequence[Hung]) -> str:
    """By cell: how many cases fall short or are slow; then each of those."""
    lines = [f"cases; short of {TARGET} at some k or not their own first; slower than {SLOWER} x comparing all"]
    cells = Counter((one.dimension, one.metric, one.kind) for one in hung)
    for cell, count in cells.items():
        of_cell = [one for one in hung if (one.dimension, one.metric, one.kind) == cell]
        short, slow = sum(one.falls_short for one in of_cell), sum(one.is_slow for one in of_cell)
        dimension, metric, kind = cell
        lines.append(f"{dimension:4} {metric:12} {kind:9} {count:5} {short:5} {slow:5}")
    amiss = [one for one in hung if one.falls_short or one.is_slow]
    counts = sum(one.falls_short for one in amiss), sum(one.is_slow for one in amiss)
    lines.append(f"{'all':27} {len(hung):5} {counts[0]:5} {counts[1]:5}")
    lines += [f"{one.dimension:4} {one.metric:12} {one.kind:9} {line_of(one)}" for one in amiss]
    return "\n".join(lines)
