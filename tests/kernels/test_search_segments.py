"""Several segments asked by one call: what each finds is what it finds alone, but for what is farther than enough."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Found, Share, search_segments
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import RequestTimeout
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.writer import write_segment

DIMENSION, K = 24, 10
SIZES = (2_500, 1_200, 300, 1)
KINDS = (SegmentKind.GRAPH, SegmentKind.CODES, SegmentKind.FLAT, SegmentKind.FLAT)
NOTHING = np.empty(0, np.float32)


def rows_of(seed: int, count: int) -> np.ndarray:
    mixing = np.random.default_rng(7).standard_normal((6, DIMENSION))
    return (np.random.default_rng(seed).standard_normal((count, 6)) @ mixing).astype(np.float32)


ROWS = [rows_of(number, size) for number, size in enumerate(SIZES)]
QUERIES = rows_of(99, 20)
DOCS = [np.random.default_rng(number).permutation(size).astype(np.int32) for number, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Segment]]:
    folder: Path = tmp_path_factory.mktemp("segments")
    with ExitStack() as closing:
        made = []
        for number, (rows, kind) in enumerate(zip(ROWS, KINDS, strict=True)):
            path = folder / str(number)
            plan = BuildPlan(kind, 4, degree=24, beam=64)
            write_segment(path, rows, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
            made.append(closing.enter_context(Segment.open(path)))
        yield made


def asked(segments: list[Segment], query: np.ndarray, masks: list[RowMask | None], known: np.ndarray) -> list[Found]:
    shares: list[Share] = [
        segment.share(docs, K, mask, None, 0.95) for segment, docs, mask in zip(segments, DOCS, masks, strict=True)
    ]
    return search_segments(query[None], shares, K, [known])[0]


@pytest.mark.parametrize("share", [1.0, 0.3, 0.01])
def test_the_nearest_of_all_are_found(segments: list[Segment], share: float) -> None:
    """With masks and without: as good as one after the other."""
    hits = 0
    for number, query in enumerate(QUERIES):
        counting = [np.random.default_rng(number).random(size) < share for size in SIZES]
        masks = [None if share == 1.0 else RowMask(one) for one in counting]
        found = asked(segments, query, masks, NOTHING)
        truths = [
            topk(query[None], rows, K, Metric.EUCLIDEAN, one)[1][0] for rows, one in zip(ROWS, counting, strict=True)
        ]
        truth = np.sort(np.concatenate(truths))[:K]
        distances = np.sort(np.concatenate([one.distances for one in found]))
        hits += int(np.isin(distances[:K], truth).sum())
        for one, docs, rows, passes in zip(found, DOCS, ROWS, counting, strict=True):
            own = np.argsort(docs)[one.docs]
            assert passes[own].all()
            assert (np.diff(one.distances) >= 0).all()
            assert np.allclose(one.distances, ((rows[own] - query) ** 2).sum(axis=1), rtol=1e-5)
    assert hits >= 0.95 * K * len(QUERIES)


def test_each_is_told_how_near_is_near_enough(segments: list[Segment]) -> None:
    """By those before it, and by what is known from elsewhere; whoever is as near as that is not left out."""
    query = QUERIES[0]
    alone = asked(segments, query, [None] * 4, NOTHING)
    assert alone[0].within == np.inf
    assert [one.within for one in alone[1:]] == [
        np.sort(np.concatenate([other.distances for other in alone[:end]]))[K - 1] for end in (1, 2, 3)
    ]
    best = np.sort(np.concatenate([one.distances for one in alone]))[:K]
    informed = asked(segments, query, [None] * 4, best)
    assert informed[0].within == best[-1]
    for one, uninformed in zip(informed, alone, strict=True):
        near = uninformed.distances[uninformed.distances <= best[-1]]
        assert np.array_equal(one.distances[: len(near)], near)
    assert sum(one.figures[1] for one in informed) <= sum(one.figures[1] for one in alone)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_queries_are_answered_as_each_alone(segments: list[Segment], threads: int) -> None:
    masks = [RowMask(np.random.default_rng(size).random(size) < 0.3) for size in SIZES]
    shares = [
        segment.share(docs, K, mask, None, 0.95) for segment, docs, mask in zip(segments, DOCS, masks, strict=True)
    ]
    known = [np.sort(np.random.default_rng(i).random(i % 3 * K).astype(np.float32)) for i in range(len(QUERIES))]
    together = search_segments(QUERIES, shares, K, known, threads=threads)
    for query, near, found in zip(QUERIES, known, together, strict=True):
        for one, alone in zip(found, asked(segments, query, masks, near), strict=True):
            assert np.array_equal(one.docs, alone.docs)
            assert np.array_equal(one.distances, alone.distances)
            assert (one.within, list(one.figures)) == (alone.within, list(alone.figures))


def test_a_segment_where_nothing_counts_is_not_asked(segments: list[Segment]) -> None:
    masks = [RowMask.none(size) for size in SIZES]
    found = asked(segments, QUERIES[0], [None, *masks[1:]], NOTHING)
    assert [len(one.docs) for one in found] == [K, 0, 0, 0]
    assert all(sum(one.figures) == 0 for one in found[1:])


def test_what_does_not_fit_is_refused(segments: list[Segment]) -> None:
    whole = segments[0].share(DOCS[0], K, None, None, 0.95)
    for wrong in (
        whole._replace(docs=DOCS[1]),
        whole._replace(mask=RowMask.all(5)),
        whole._replace(k=0),
        whole._replace(docs=DOCS[0].astype(np.int64)),  # type: ignore[arg-type]
    ):
        with pytest.raises((ValueError, RuntimeError, TypeError)):
            search_segments(QUERIES[:1], [whole, wrong], K, [NOTHING])
    with pytest.raises(ValueError, match="dimensions"):
        search_segments(QUERIES[:1, :5].copy(), [whole], K, [NOTHING])
    with pytest.raises(ValueError, match="number of queries"):
        search_segments(QUERIES[:2], [whole], K, [NOTHING])
    with pytest.raises(ValueError, match="top_k"):
        search_segments(QUERIES[:1], [whole], 0, [NOTHING])


def test_a_deadline_ends_it(segments: list[Segment]) -> None:
    with working_for(Deadline(0.0, time.monotonic() - 1)), pytest.raises(RequestTimeout):
        asked(segments, QUERIES[0], [None] * 4, NOTHING)


def test_a_part_of_the_answer_is_of_what_was_compared(segments: list[Segment]) -> None:
    """However soon the time is up: true distances of rows, and what says that it is all is all."""
    shares = [segment.share(docs, K, None, None, 0.95) for segment, docs in zip(segments, DOCS, strict=True)]
    whole = search_segments(QUERIES[:1], shares, K, [NOTHING])[0]
    assert all(one.is_complete for one in whole)
    rng = np.random.default_rng(1)
    for limit_s in (-1.0, 0.0, *(rng.random(60) ** 3 / 500)):
        with working_for(Deadline(limit_s)):
            found = search_segments(QUERIES[:1], shares, K, [NOTHING], in_part=True)[0]
        if limit_s <= 0:
            assert not any(one.is_complete or len(one.docs) for one in found)
        for one, docs, rows in zip(found, DOCS, ROWS, strict=True):
            own = np.argsort(docs)[one.docs]
            assert (np.diff(one.distances) >= 0).all()
            assert np.allclose(one.distances, ((rows[own] - QUERIES[0]) ** 2).sum(axis=1), rtol=1e-5)
        if all(one.is_complete for one in found):
            assert [one.docs.tolist() for one in found] == [one.docs.tolist() for one in whole]


def test_what_was_given_up_is_no_answer(segments: list[Segment]) -> None:
    with working_for(Deadline(60.0)) as deadline:
        deadline.give_up()
        with pytest.raises(RequestTimeout, match="given up"):
            asked(segments, QUERIES[0], [None] * 4, NOTHING)


def test_helpers_change_nothing(tmp_path: Path) -> None:
    """Segments whose codes take long enough to be shared out: as with one thread."""
    sizes = (40_000, 39_000, 38_000)
    with ExitStack() as closing:
        shares = []
        for number, size in enumerate(sizes):
            path, rows = tmp_path / str(number), rows_of(number, size)
            write_segment(path, rows, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.CODES, 4)).close()
            segment = closing.enter_context(Segment.open(path))
            shares.append(segment.share(np.arange(size, dtype=np.int32), K, None, None, 0.95))
        for query in QUERIES:
            alone = search_segments(query[None], shares, K, [NOTHING], threads=1)[0]
            helped = search_segments(query[None], shares, K, [NOTHING], threads=0)[0]
            for one, other in zip(alone, helped, strict=True):
                assert one.docs.tolist() == other.docs.tolist()
                assert one.within == other.within
