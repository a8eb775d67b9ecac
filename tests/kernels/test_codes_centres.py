"""Codes against several centres: to the bit those that a quantizer of the row's own centre makes and compares."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from lutra.kernels.codes import CENTRE_BYTES, Quantizer, code_levels, directions_of, scan, scan_candidates
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

Vectors = NDArray[np.float32]
ROWS, CENTRES = 400, 7


def clustered(dimension: int, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Centres, and rows near them; two rows of length 0, two beyond 1e18 and one that is a centre."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CENTRES, dimension), dtype=np.float32)
    noise = rng.standard_normal((ROWS, dimension), dtype=np.float32)
    rows = centres[rng.integers(0, CENTRES, ROWS)] + np.float32(0.01) * noise
    rows[[3, 4]] = 0
    rows[[5, 6]] *= np.float32(1e20)
    rows[7] = centres[2]
    return centres, np.ascontiguousarray(rows, np.float32)


def centres_of(records: NDArray[np.uint8]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(records[:, -CENTRE_BYTES:]).view("<u4")[:, 0]


@pytest.mark.parametrize("metric", list(Metric), ids=lambda metric: metric.name.lower())
@pytest.mark.parametrize(("dimension", "bits"), [(1, 8), (20, 4), (64, 2), (200, 1)])
def test_records_and_estimates_are_those_of_the_own_centre(metric: Metric, dimension: int, bits: int) -> None:
    centres, rows = clustered(dimension)
    codec = Quantizer.of_centres(bits, metric, centres, seed=5)
    records = codec.encode(rows, threads=3)
    numbers = centres_of(records)
    query = np.ascontiguousarray(rows[11] + np.float32(0.005))
    asked = codec.query(query)
    estimates, (lower, upper) = asked.estimate(records), asked.bounds(records)
    for number in range(CENTRES):
        own = Quantizer(dimension, bits, metric, centres[number], seed=5)
        chosen = numbers == number
        alone = own.encode(np.ascontiguousarray(rows[chosen]))
        assert np.array_equal(alone, records[chosen, :-CENTRE_BYTES])
        against = own.query(query)
        assert np.array_equal(against.estimate(alone), estimates[chosen])
        assert np.array_equal(against.bounds(alone)[0], lower[chosen])
        assert np.array_equal(against.bounds(alone)[1], upper[chosen])
    assert len(set(numbers.tolist())) > 1


@pytest.mark.parametrize("metric", list(Metric), ids=lambda metric: metric.name.lower())
def test_each_row_has_the_nearest_centre(metric: Metric) -> None:
    centres, rows = clustered(20)
    numbers = centres_of(Quantizer.of_centres(4, metric, centres).encode(rows))
    told = directions_of(rows) if metric is Metric.COSINE else rows
    distances = ((told[:, None].astype(np.float64) - centres) ** 2).sum(axis=2)
    least = distances.min(axis=1)
    assert (np.take_along_axis(distances, numbers[:, None].astype(np.int64), axis=1)[:, 0] <= least * (1 + 1e-5)).all()


def test_every_level_and_number_of_threads_gives_the_same() -> None:
    centres, rows = clustered(96)
    queries = rows[20:24] + np.float32(0.01)
    best = Quantizer.of_centres(4, Metric.EUCLIDEAN, centres, seed=1)
    records = best.encode(rows, threads=1)
    mask = np.arange(ROWS) % 3 > 0
    for level in code_levels():
        codec = Quantizer.of_centres(4, Metric.EUCLIDEAN, centres, seed=1, level=level)
        assert np.array_equal(codec.encode(rows, threads=4), records)
        for query in queries:
            for search in (scan, scan_candidates):
                found = search(codec.query(query), records, 10, mask, threads=2)
                for one, other in zip(found, search(best.query(query), records, 10, mask, threads=1), strict=True):
                    assert np.array_equal(one, other)


def test_rows_of_a_cluster_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    centres = rng.standard_normal((4, 64), dtype=np.float32)
    rows = centres[np.arange(2_000) % 4] + np.float32(1e-3) * rng.standard_normal((2_000, 64), dtype=np.float32)
    hits = {1: 0, 4: 0}
    for query in centres + np.float32(1e-3) * rng.standard_normal((4, 64), dtype=np.float32):
        true = np.argsort(((rows.astype(np.float64) - query) ** 2).sum(axis=1))[:10]
        for number in hits:
            codec = Quantizer.of_centres(4, Metric.EUCLIDEAN, centres[:number])
            found, _, _ = scan(codec.query(query), codec.encode(rows), 20)
            hits[number] += len(np.intersect1d(found, true))
    assert hits[4] >= 38
    assert hits[1] <= 20


def test_one_centre_is_the_centroid() -> None:
    centres, rows = clustered(20)
    one = Quantizer.of_centres(4, Metric.EUCLIDEAN, centres[:1])
    assert np.array_equal(one.encode(rows), Quantizer(20, 4, Metric.EUCLIDEAN, centres[0]).encode(rows))


def test_a_query_may_outlive_its_quantizer_and_serve_many_threads() -> None:
    centres, rows = clustered(64)
    codec = Quantizer.of_centres(4, Metric.EUCLIDEAN, centres)
    records = codec.encode(rows)
    expected = codec.query(rows[0]).estimate(records)
    query = codec.query(rows[0])
    del codec
    found: list[NDArray[np.float32]] = []
    threads = [threading.Thread(target=lambda: found.append(query.estimate(records))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(one, expected) for one in found)


def test_bad_centres_are_refused() -> None:
    centres, _ = clustered(20)
    with pytest.raises(ValueError, match="at least one centre"):
        Quantizer.of_centres(4, Metric.EUCLIDEAN, centres[:0])
    with pytest.raises(ValueError, match="1, 2, 4 or 8 bits"):
        Quantizer.of_centres(3, Metric.EUCLIDEAN, centres)
    with pytest.raises(ParameterInvalid, match="finite"):
        Quantizer.of_centres(4, Metric.EUCLIDEAN, np.array([[0.0], [np.nan]], np.float32))


def test_a_record_that_names_no_centre_is_taken_for_the_last_ones() -> None:
    centres, rows = clustered(20)
    codec = Quantizer.of_centres(4, Metric.EUCLIDEAN, centres)
    records = codec.encode(rows[:1])
    records[:, -CENTRE_BYTES:] = 0xFF
    last = records.copy()
    last[:, -CENTRE_BYTES:] = np.array([CENTRES - 1], "<u4").view(np.uint8)
    assert codec.query(rows[1]).estimate(records) == codec.query(rows[1]).estimate(last)
