"""Lists: all rows, in clusters of bounded size, the same on any number of threads; and what a query covers by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kernels.codes import Quantizer, centroid_of
from lutra.kernels.distance import topk
from lutra.kernels.lists import BuiltLists, Lists, build
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

Vectors = np.ndarray


def latent(rows: int, dimension: int = 40, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(5).standard_normal((8, dimension))
    return (rng.standard_normal((rows, 8)) @ mixing + 0.2 * rng.standard_normal((rows, dimension))).astype(np.float32)


def quantizer_of(vectors: Vectors, metric: Metric = Metric.EUCLIDEAN) -> Quantizer:
    return Quantizer(vectors.shape[1], 4, metric, centroid_of(vectors, metric), seed=1)


def lists_of(quantizer: Quantizer, built: BuiltLists) -> Lists:
    return Lists(quantizer, built.offsets, built.centroids, built.step, built.radii, built.spreads)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(0, 600),
    distinct=st.integers(1, 600),
    per_list=st.integers(1, 70),
    scale=st.sampled_from([1e-30, 1.0, 1e19]),
    metric=st.sampled_from(list(Metric)),
)
def test_every_row_is_in_one_list_of_bounded_size(
    rows: int, distinct: int, per_list: int, scale: float, metric: Metric
) -> None:
    vectors = (latent(600) * np.float32(scale))[np.arange(rows) % distinct]
    quantizer = quantizer_of(vectors, metric)
    built = build(vectors, quantizer, per_list, threads=1)
    assert np.sort(built.order).tolist() == list(range(rows))
    sizes = np.diff(built.offsets.astype(np.int64))
    assert (built.offsets[0], built.offsets[-1]) == (0, rows)
    assert sizes.max(initial=0) <= 2 * per_list
    assert (sizes > 0).all() or rows == 0
    again = build(vectors, quantizer, per_list, threads=3)
    for one, other in zip(built[:5], again[:5], strict=True):
        assert np.array_equal(one, other)


def test_lists_are_about_as_long_as_was_asked_for_and_hold_what_is_near() -> None:
    vectors = latent(6_400)
    built = build(vectors, quantizer_of(vectors), 64)
    assert 80 <= len(built.radii) <= 130
    queries, rows = latent(50, seed=1), np.empty(6_400, np.int64)
    rows[built.order] = np.arange(6_400)
    near = rows[topk(queries, vectors, 10, Metric.EUCLIDEAN)[0]]
    covered = lists_of(quantizer_of(vectors), built).covered(queries, near)
    assert np.quantile(covered, 0.95) <= 0.25 * 6_400, "by chance it were nearly all"
    own = lists_of(quantizer_of(vectors), built).covered(vectors[built.order], np.arange(6_400)[:, None])
    assert own.max() <= 640, "rows find themselves in the first few lists"


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.COSINE])
def test_no_row_is_nearer_than_its_lists_bound(metric: Metric) -> None:
    vectors = latent(1_000) + (5 if metric is Metric.COSINE else 0)
    quantizer = quantizer_of(vectors, metric)
    built = build(vectors, quantizer, 10)
    ordered, tight = vectors[built.order], 0
    for query in latent(20, seed=3) + (5 if metric is Metric.COSINE else 0):
        order, bounds = lists_of(quantizer, built).ranked(query)
        assert np.sort(order).tolist() == list(range(len(built.radii)))
        rows, distances = topk(query[None], ordered, 1_000, metric)
        nearest = np.full(len(order), np.inf)
        np.minimum.at(nearest, np.searchsorted(built.offsets, rows[0], "right") - 1, distances[0])
        assert (bounds <= nearest[order] + 1e-5).all()
        tight += int((bounds > distances[0, 9]).sum())
    assert tight > 0, "some list cannot hold any of the ten nearest"


@pytest.mark.parametrize("metric", list(Metric))
def test_reaches_tell_lists_with_neighbours_from_others(metric: Metric) -> None:
    vectors = latent(4_000)
    quantizer = quantizer_of(vectors, metric)
    built = build(vectors, quantizer, 20)
    lists, queries = lists_of(quantizer, built), latent(30, seed=3)
    rows, distances = topk(queries, vectors[built.order], 10, metric)
    reaches = np.linspace(-1, 2, 31, dtype=np.float32)
    last = np.ascontiguousarray(distances[:, -1])
    taken, within = lists.reached(queries, rows, last, reaches, threads=2)
    assert (np.diff(within, axis=1) >= 0).all()
    assert np.quantile(taken, 0.95) < 1.2
    enough = int(np.searchsorted(reaches, np.quantile(taken, 0.95)))
    assert within[:, enough].mean() < 2_000
    # Where only rows that lie farther count, the last is farther, and as many of the neighbours are within reach.
    far_rows, far = topk(queries, vectors[built.order], 10, metric, np.random.default_rng(0).random(4_000) < 0.02)
    far_taken, more = lists.reached(queries, far_rows, np.ascontiguousarray(far[:, -1]), reaches)
    assert (far_taken <= reaches[enough]).mean() > 0.9
    assert more[:, enough].mean() > within[:, enough].mean()


def test_products_have_no_bounds_and_still_find() -> None:
    vectors = latent(2_000)
    quantizer = quantizer_of(vectors, Metric.DOT_PRODUCT)
    built = build(vectors, quantizer, 20)
    lists, queries, rows = lists_of(quantizer, built), latent(20, seed=3), np.empty(2_000, np.int64)
    rows[built.order] = np.arange(2_000)
    assert np.isneginf(lists.ranked(queries[0])[1]).all()
    near = rows[topk(queries, vectors, 10, Metric.DOT_PRODUCT)[0]]
    assert np.quantile(lists.covered(queries, near), 0.9) <= 1_000


def test_a_build_tells_of_its_progress_and_can_be_stopped() -> None:
    vectors = latent(500)
    reports: list[tuple[int, int]] = []
    build(vectors, quantizer_of(vectors), 20, on_progress=lambda *report: reports.append(report))
    assert reports == sorted(reports)
    assert reports[-1] == (500, 500)

    def stop(done: int, total: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        build(vectors, quantizer_of(vectors), 20, on_progress=stop)


def test_what_makes_no_sense_is_refused() -> None:
    vectors = latent(200)
    quantizer = quantizer_of(vectors)
    built = build(vectors, quantizer, 20)
    broken = vectors.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ParameterInvalid, match="3"):
        build(broken, quantizer, 20)
    with pytest.raises(ValueError, match="dimension"):
        build(np.ascontiguousarray(vectors[:, :20]), quantizer, 20)
    with pytest.raises(ValueError, match="a list has"):
        build(vectors, quantizer, 0)
    for part, text in [
        ({"offsets": built.offsets[::-1].copy()}, "ascend"),
        ({"offsets": built.offsets[:-1].copy()}, "as many lists"),
        ({"centroids": np.full_like(built.centroids, -128)}, "-127"),
        ({"centroids": built.centroids[:, :32].copy()}, "where the codes do"),
        ({"radii": np.full_like(built.radii, np.nan)}, "radius"),
        ({"spreads": built.spreads[:-1].copy()}, "as many lists"),
        ({"step": np.inf}, "step"),
    ]:
        with pytest.raises(ValueError, match=text):
            lists_of(quantizer, built._replace(**part))
    lists = lists_of(quantizer, built)
    with pytest.raises(ValueError, match="no such row"):
        lists.covered(vectors[:1], np.array([[200]]))
    with pytest.raises(ValueError, match="line of rows"):
        lists.covered(vectors[:2], np.array([[0]]))
