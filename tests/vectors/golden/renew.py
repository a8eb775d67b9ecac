"""Writes the golden segments of the format's version: ``python tests/vectors/golden/renew.py``, from the repository.

Those of a version that was ever released stay for ever: a file that is there is left alone.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))

from support.segments import GOLDEN_EXACT, golden_name, golden_plan, golden_vectors, measured  # noqa: E402

from lutra.model.indexes import Metric  # noqa: E402
from lutra.vectors import writer  # noqa: E402
from lutra.vectors.layout import SegmentKind  # noqa: E402
from lutra.vectors.writer import write_segment  # noqa: E402

if __name__ == "__main__":
    for kind, metric, what in itertools.product(SegmentKind, Metric, ("", "basis", "centres")):
        path = FOLDER / golden_name(kind, metric, 3 if what == "centres" else 2, what)
        if not path.exists() and not (what and kind is SegmentKind.FLAT):
            write_segment(path, golden_vectors(), metric, plan=golden_plan(kind, what), seed=7).close()
            print(path)
    for kind, metric in itertools.product((SegmentKind.CODES, SegmentKind.GRAPH), Metric):
        path = FOLDER / golden_name(kind, metric, 5, "lists")
        if not path.exists():
            write_segment(path, golden_vectors(), metric, plan=golden_plan(kind, "lists"), seed=7).close()
            print(path)
    exact = measured({}, *GOLDEN_EXACT)
    for kind in (SegmentKind.CODES, SegmentKind.GRAPH):
        path = FOLDER / golden_name(kind, Metric.COSINE, 4, "exact")
        if not path.exists():
            write_segment(
                path, golden_vectors(), Metric.COSINE, plan=golden_plan(kind), seed=7, calibrate=lambda *_: exact
            ).close()
            print(path)
    writer.FAST_ROWS_MIN = 0
    for metric in (Metric.EUCLIDEAN, Metric.COSINE):
        path = FOLDER / golden_name(SegmentKind.GRAPH, metric, 6, "fast")
        if not path.exists():
            write_segment(path, golden_vectors(), metric, plan=golden_plan(SegmentKind.GRAPH, "lists"), seed=7).close()
            print(path)
