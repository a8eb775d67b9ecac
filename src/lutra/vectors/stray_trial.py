"""Trials of queries that stray from the rows: for many of them more rows are about as near as the last one wanted.

Walks are measured with rows, and miss more of the neighbours of such queries: halfway between two clusters, say, or of
another modality. What tells them apart is how much the candidates stand out, the *contrast*, whatever brought that
about (30,000 x 96 ordinary vectors, at .95: of noise, what has less contrast than all but a twentieth of the rows finds
.89 to .92, the rest .95 to .98). So a few are made of rows, and walks as wide as it takes are measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.distance import topk
from lutra.kernels.searcher import Searcher, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.calibration import CHECKED_NEIGHBOURS, rerank_plan
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.strays import Strays
from lutra.vectors.trial import ENOUGH, EQUAL, EXACT_BYTES_MAX, SIGMAS, Sample, truth_plan

FEW: Final = 0.02
"""Of rows, as queries: those that candidates stand out least for are asked like others that stray."""
QUERIES: Final = 96
"""Of each kind."""
ENOUGH_QUERIES: Final = 16
"""By less nothing is told."""
BEAMS: Final = (48, 64, 96, 128, 192, 256, 512, 1_024)
_BEAM: Final = 64
"""Of the walks whose candidates are looked at."""
_NARROWEST: Final = 32
_MANY: Final = 3 * CHECKED_NEIGHBOURS
"""Are held against those wanted, as in native/search/search_slot.cpp."""

_Vectors = NDArray[np.float32]


def try_strays(
    searcher: Searcher, file: SegmentFile, sample: Sample, within: float, threads: int = 0, *, by_links: bool = False
) -> Strays | None:
    """What walks find for queries that stray; None where too few rows tell what is usual.

    :param searcher: has codes and graph in memory, and links if walks go ``by_links``.
    :param within: a query whose last neighbour is farther has all codes scanned, anyway.
    """
    k = CHECKED_NEIGHBOURS
    if sample.truths[0].shape[1] < k or file.rows <= _MANY + 1:
        return None
    contrasts = _compared_contrasts if by_links else _estimated_contrasts
    usual = contrasts(searcher, file.metric, sample.vectors, sample.rows)
    usual = usual[np.isfinite(usual)]
    if len(usual) < ENOUGH_QUERIES:
        return None
    least = float(np.quantile(usual, FEW))
    kinds = []
    for made in _made(sample.vectors, file.seed):
        queries = np.ascontiguousarray(made[contrasts(searcher, file.metric, made, None) < least])
        bounds = _bounds(searcher, file, queries, k, threads)
        if (bounds <= within).sum() >= ENOUGH_QUERIES:
            kinds.append((np.ascontiguousarray(queries[bounds <= within]), bounds[bounds <= within]))
    found: list[tuple[int, float]] = []
    for beam in BEAMS if kinds else ():
        plan = rerank_plan(Strategy.WALK, k, _NARROWEST, SIGMAS[-1])
        plan = replace(plan, candidates=4 * k, contrast_min=math.inf, wider_beam=beam)
        recalls = []
        for queries, bounds in kinds:
            _, distances, _ = searcher.search(queries, k, plan, threads=threads)
            recalls.append(float((distances <= bounds[:, None] + EQUAL * np.abs(bounds[:, None])).mean()))
        found.append((beam, max(min(recalls), found[-1][1] if found else 0.0)))
        if found[-1][1] >= ENOUGH:
            break
    return Strays(least, tuple(found))


def _made(vectors: _Vectors, seed: int) -> list[_Vectors]:
    """float32 [n, d] each: queries made of rows. Between two of them, nearer to the middle of all, pushed aside
    together, and noise that has their mean and spread alone."""
    rng = np.random.default_rng((seed, 1))
    some = vectors[:QUERIES].astype(np.float64)
    mean = vectors.mean(axis=0, dtype=np.float64)
    spread = math.sqrt(float(((vectors.astype(np.float64) - mean) ** 2).sum(axis=1).mean()))

    def directions(count: int) -> NDArray[np.float64]:
        drawn = rng.standard_normal((count, vectors.shape[1]))
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))

    kinds: Sequence[NDArray[np.float64]] = (
        (some + np.roll(some, 1, axis=0)) / 2,
        mean + (some - mean) / 3,
        some + spread * directions(1),
        mean + spread * directions(len(some)),
    )
    with np.errstate(over="ignore"):  # what is too long is none
        made = [kind.astype(np.float32) for kind in kinds]
    return [np.ascontiguousarray(kind[np.isfinite(kind).all(axis=1)]) for kind in made]


def _estimated_contrasts(
    searcher: Searcher, metric: Metric, queries: _Vectors, own: NDArray[np.uint32] | None
) -> NDArray[np.float64]:
    """float64 [q]: how much what walks find stands out, by its codes, as `native/search/search_slot.cpp` reckons it;
    ``own``: the row that each query is, which does not count. Infinite where there is nothing to hold against."""
    found = np.full(len(queries), np.inf)
    for number, query in enumerate(queries):
        rows, estimates, _ = searcher.come_by(query[None], _BEAM, _MANY + 1)
        if own is not None:
            estimates = estimates[rows != own[number]]
        if len(estimates) >= _MANY:
            found[number] = _contrasts(metric, query[None], estimates[None, :_MANY])[0]
    return found


def _compared_contrasts(
    searcher: Searcher, metric: Metric, queries: _Vectors, own: NDArray[np.uint32] | None
) -> NDArray[np.float64]:
    """The same of what walks by links compare."""
    if not len(queries):
        return np.empty(0)
    plan = rerank_plan(Strategy.WALK, _MANY, _BEAM, SIGMAS[-1])
    return _contrasts(metric, queries, searcher.search(queries, _MANY, plan, left_out=own)[1])


def _contrasts(metric: Metric, queries: _Vectors, distances: _Vectors) -> NDArray[np.float64]:
    """float64 [q], of ``distances`` [q, many], ascending."""
    nearer, farther = distances[:, CHECKED_NEIGHBOURS - 1].astype(np.float64), distances[:, -1].astype(np.float64)
    is_product = metric is Metric.DOT_PRODUCT
    by = np.linalg.norm(queries.astype(np.float64), axis=1) if is_product else nearer
    found = np.full(len(queries), np.inf)
    np.divide(farther - nearer, by, out=found, where=by > 0)
    return found


def _bounds(searcher: Searcher, file: SegmentFile, queries: _Vectors, k: int, threads: int) -> _Vectors:
    """float32 [q]: how far the last of the true neighbours is; under inner product of queries of length 1."""
    if not len(queries):
        return np.empty(0, np.float32)
    if 4 * file.rows * file.dimension <= EXACT_BYTES_MAX:
        everything = np.concatenate(list(file.vector_blocks()))
        distances = topk(queries, everything, k, file.metric, threads=threads)[1]
    else:
        distances = searcher.search(queries, k, truth_plan(k), threads=threads)[1]
    return np.ascontiguousarray(distances[:, -1])
