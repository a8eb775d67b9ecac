"""Counters of searches over 20,000 x 96 vectors, held against a baseline: recall, distances, reads. See ``--help``.

Some go by a given plan; the others, "planned", as searches do, under filters of every pass rate and correlation: so no
change brings a cliff unseen. Their recall, and that no answer is short, are also held against what is promised. And so
is that of "target": each recall that is asked for, of queries like the rows and of others (`bench.targets`).

Counters do not depend on how busy a machine is: a change that costs recall, work or reads shows at once. The baseline
is ``bench/counters.json``; renew it where a change is meant, and say why in the commit.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench import targets
from bench.ann import data
from bench.filters import KINDS, Filters
from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import rerank_plan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.writer import write_segment

BASELINE: Final = Path(__file__).with_name("counters.json")
ROWS: Final = 20_000
DIMENSION: Final = 96
QUERIES: Final = 200
K: Final = 10
TOLERANCES: Final = {"recall": 0.01, "distances": 0.05, "reads": 0.01}
"""Shares of the baseline; of recall, points."""

PLANNED: Final = "planned"
PLANNED_QUERIES: Final = 60
PASS_RATES: Final = (0.5, 0.2, 0.05, 0.01, 0.001)
PROMISED_RECALL: Final = 0.95
TARGET: Final = "target"
ASKED: Final = ("like rows", "between", "turned", "noise")
"""Of `bench.targets`."""

Figures = dict[str, dict[str, float]]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]


def measure() -> Figures:
    """Recall, distances and reads a query, by what was searched how."""
    block = data.hard(DIMENSION)
    vectors, queries = data.rows(block, ROWS), data.queries(block, ROWS, QUERIES)
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="lutra-counters-") as folder:
        path = Path(folder) / "segment"
        build = BuildPlan(SegmentKind.GRAPH, 4, beam=64)
        write_segment(path, vectors, Metric.EUCLIDEAN, plan=build, calibrate=calibrate).close()
        with Segment.open(path) as segment:
            for name, plan, mask in _cases():
                truth, _ = topk(queries, vectors, K, Metric.EUCLIDEAN, mask)
                counting = None if mask is None else RowMask(mask)
                ids, _, counters = segment.searcher.search(queries, K, plan, mask=counting)
                hits = sum(len(np.intersect1d(a, b)) for a, b in zip(ids, truth, strict=True))
                means = counters.means()
                figures[name] = {
                    "recall": hits / truth.size,
                    "distances": means["distances"],
                    "reads": means["reads"],
                }
            figures |= _planned(segment, vectors, queries[:PLANNED_QUERIES])
            figures |= _targets(segment, vectors, queries)
    return figures


def _planned(segment: Segment, vectors: Vectors, queries: Vectors) -> Figures:
    """Of what searches plan themselves."""
    filters, everyone = Filters(vectors, queries), range(len(queries))
    figures = {PLANNED: _of_masks(segment, vectors, queries, [None] * len(queries))}
    for kind in KINDS:
        for rate in PASS_RATES:
            masks = [filters.mask(kind, rate, number) for number in everyone]
            figures[f"{PLANNED}, {100 * rate:g} % {kind}"] = _of_masks(segment, vectors, queries, masks)
    return figures


def _targets(segment: Segment, vectors: Vectors, queries: Vectors) -> Figures:
    """Of what is planned for each target, by queries like the rows and by others."""
    figures, scale = {}, targets.scale_of(vectors, queries)
    for kind in ASKED:
        made = targets.made(kind, queries, scale)
        _, distances = topk(made, vectors, K, Metric.EUCLIDEAN)
        for target in targets.TARGETS:
            found = targets.asked([segment], made, distances, K, target)
            recall = float(found.recalls.mean())
            figures[_name_of(target, kind)] = {"recall": recall, "distances": found.distances, "reads": found.reads}
    return figures


def _name_of(target: float, kind: str) -> str:
    return f"{TARGET} {target}, {kind}"


def _of_masks(segment: Segment, vectors: Vectors, queries: Vectors, masks: Sequence[Mask | None]) -> dict[str, float]:
    """Means of the queries, each under its own mask; recall 0 where an answer is short."""
    hits, taken = 0, np.zeros(2)
    for query, mask in zip(queries, masks, strict=True):
        truth, _ = topk(query[None], vectors, K, Metric.EUCLIDEAN, mask)
        found = segment.search(query[None], K, mask=mask, threads=1)
        if found.ids.shape != truth.shape:
            return {"recall": 0.0, "distances": 0.0, "reads": 0.0}
        hits += len(np.intersect1d(found.ids, truth))
        taken += (found.counters.distances[0], found.counters.reads[0])
    distances, reads = (taken / len(queries)).tolist()
    return {"recall": hits / (K * len(queries)), "distances": distances, "reads": reads}


def _cases() -> Iterator[tuple[str, Plan, Mask | None]]:
    rng = np.random.default_rng(1)
    third, hundredth = rng.random(ROWS) < 0.3, rng.random(ROWS) < 0.01
    for beam in (48, 96, 192):
        yield f"walk, beam {beam}", rerank_plan(Strategy.WALK, K, beam, 1.3), None
    yield "walk, beam 96, 30 % pass", rerank_plan(Strategy.WALK, K, 96, 1.3), third
    yield "walk, beam 96, 1 % pass", rerank_plan(Strategy.WALK, K, 96, 1.3), hundredth
    yield "walk on disk, beam 48", rerank_plan(Strategy.NODE_WALK, K, 48, 1.3), None
    yield "scan of codes", rerank_plan(Strategy.CODE_SCAN, K, 0, 1.3), None
    yield "scan of codes, 1 % pass", rerank_plan(Strategy.CODE_SCAN, K, 0, 1.3), hundredth


def differences(found: Figures, baseline: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What lies outside the tolerances, in words."""
    if found.keys() != baseline.keys():
        return [f"the cases differ: {sorted(found.keys() ^ baseline.keys())}"]
    wrong = [
        f"{name}: recall {figures['recall']:.3f}, promised {PROMISED_RECALL}"
        for name, figures in found.items()
        if name.startswith(PLANNED) and figures["recall"] < PROMISED_RECALL
    ]
    for kind, target in itertools.product(ASKED, targets.TARGETS):
        recall = found[_name_of(target, kind)]["recall"]
        if recall < target - targets.MISSED:
            wrong.append(f"{_name_of(target, kind)}: recall {recall:.3f}")
    for name, figures in found.items():
        for key, tolerance in TOLERANCES.items():
            value, expected = figures[key], baseline[name][key]
            allowed = tolerance if key == "recall" else tolerance * expected
            if abs(value - expected) > allowed:
                wrong.append(f"{name}: {key} {value:.4g}, baseline {expected:.4g} ± {allowed:.2g}")
    return wrong


def baseline() -> Figures:
    """What is checked in."""
    document: Figures = json.loads(BASELINE.read_text())
    return document


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.counters", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--renew", action="store_true", help="write what is measured as the new baseline")
    arguments = parser.parse_args()
    found = measure()
    for name, figures in found.items():
        print(f"{name:34}", "  ".join(f"{key} {value:,.4g}" for key, value in figures.items()))
    if arguments.renew:
        rounded = {name: {key: round(value, 4) for key, value in figures.items()} for name, figures in found.items()}
        BASELINE.write_text(json.dumps(rounded, indent=1) + "\n")
        print(f"wrote {BASELINE}")
        return
    wrong = differences(found, baseline())
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
