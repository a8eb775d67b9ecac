"""Whether a graph leads to all of its rows."""

from __future__ import annotations

import numpy as np

from lutra.vectors.layout import NO_ROW, SegmentKind
from lutra.vectors.segment_file import SegmentFile


def unreachable_rows(file: SegmentFile) -> int:
    """Rows to which no way leads from the graph's entries; 0 where there is no graph."""
    if file.kind is not SegmentKind.GRAPH:
        return 0
    graph = file.load_graph()
    reached = np.zeros(len(graph), bool)
    front = np.unique(file.entries)
    while len(front):
        reached[front] = True
        following = np.unique(graph[front])
        following = following[following != NO_ROW]
        front = following[~reached[following]]
    return int(np.count_nonzero(~reached))
