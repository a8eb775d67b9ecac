"""What a browser draws of a sample is where its vectors are, and coloured by its values."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lutra.console.vector_map import CATEGORIES_MAX, NONE, OTHER, SIDE, Frames, neighbours_json, picture_json
from lutra.model.indexes import Metric
from lutra.search.sample import VectorSample

DIMENSION = 12
WHAT = ("instance", "table", "index", "field")


def clustered(count: int, clusters: int = 3, seed: int = 0) -> npt.NDArray[np.float32]:
    """float32 [count, d], row n of cluster n % clusters."""
    rng = np.random.default_rng(seed)
    centres = 10 * rng.standard_normal((clusters, DIMENSION))
    return (centres[np.arange(count) % clusters] + rng.standard_normal((count, DIMENSION))).astype(np.float32)


def sample(vectors: npt.NDArray[np.float32], values: list[Any] | None = None, segments: tuple[str, ...] = ()) -> Any:
    return VectorSample(
        [(("id", n),) for n in range(len(vectors))],
        vectors,
        {} if values is None else {"f": values},
        10 * len(vectors),
        np.empty((0, DIMENSION), np.int16),
        segments,
    )


def drawn(of: VectorSample, frames: Frames | None = None, *, is_date: bool = False) -> dict[str, Any]:
    colour = next(iter(of.values), None)
    return picture_json(of, Metric.EUCLIDEAN, frames or Frames(), WHAT, colour, is_date=is_date)


def points_of(told: dict[str, Any]) -> npt.NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(told["points"]), "<u2").reshape(-1, 2).astype(float)


def colours_of(told: dict[str, Any]) -> list[int]:
    return list(base64.b64decode(told["colours"]))


def test_places_are_those_of_the_plane() -> None:
    vectors = clustered(600)
    told = drawn(sample(vectors))
    points = points_of(told)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    exact = centred @ directions[:2].T
    for axis in (0, 1):  # up to the sign, a scale and a shift, which both share
        assert abs(np.corrcoef(points[:, axis], exact[:, axis])[0, 1]) == pytest.approx(1, abs=1e-4)
    assert np.ptp(points, axis=0) / np.ptp(exact, axis=0) == pytest.approx(
        [SIDE / 1.04 / np.ptp(exact, axis=0).max()] * 2, rel=1e-3
    )
    assert points.min() >= 0
    assert points.max() <= SIDE
    assert told["explained"] == pytest.approx((np.square(singular) / np.square(singular).sum())[:2], rel=1e-3)
    assert (told["rows"], told["keys"][7]) == (6_000, "[7]")


def test_names_have_colours_by_how_many_have_them() -> None:
    values = [f"name {n % 13}" if n % 5 else None for n in range(260)] + ["name 0"] * 40
    told = drawn(sample(clustered(300), values))
    legend = told["colour"]
    assert (legend["kind"], legend["names"][0], len(legend["names"])) == ("categories", "name 0", CATEGORIES_MAX)
    assert (legend["missing"], sum(legend["counts"]) + legend["other"]) == (52, 248)
    colours = colours_of(told)
    assert colours[0] == NONE
    for n, value in enumerate(values):
        expected = NONE if value is None else legend["names"].index(value) if value in legend["names"] else OTHER
        assert colours[n] == expected


def test_truth_values_are_names() -> None:
    told = drawn(sample(clustered(40), [n % 4 == 0 for n in range(40)]))
    assert (told["colour"]["names"], told["colour"]["counts"]) == (["false", "true"], [30, 10])


def test_numbers_have_a_scale_that_few_far_ones_do_not_take() -> None:
    values: list[Any] = [float(n) for n in range(999)] + [1e12]
    values[5] = None
    told = drawn(sample(clustered(1_000), values))
    legend, colours = told["colour"], colours_of(told)
    assert (legend["kind"], legend["missing"]) == ("scale", 1)
    assert legend["high"] < 1_000
    assert (colours[0], colours[5], colours[999]) == (0, NONE, 253)
    assert colours[500] == pytest.approx(253 * (500 - legend["low"]) / (legend["high"] - legend["low"]), abs=1)
    extreme = drawn(sample(clustered(60), [float("inf"), -1e308, 1e308] * 20))
    assert set(colours_of(extreme)) == {0, 253}
    json.dumps(extreme, allow_nan=False)
    alike = drawn(sample(clustered(30), [7] * 30))
    assert set(colours_of(alike)) == {0}


def test_dates_are_said_to_be_some() -> None:
    assert drawn(sample(clustered(30), list(range(30))), is_date=True)["colour"]["is_date"] is True


def test_clusters_are_told_in_words() -> None:
    vectors = clustered(900, clusters=3)
    told = drawn(sample(vectors, ["even" if n % 3 == 0 else "odd" for n in range(900)]))
    clusters, points = told["clusters"], points_of(told)
    assert sum(one["count"] for one in clusters) == 900
    assert [one["count"] for one in clusters] == sorted((one["count"] for one in clusters), reverse=True)
    for one in clusters:
        of = one["example"] % 3
        assert one["value"] == ("even" if of == 0 else "odd")
        middle = points[np.arange(900) % 3 == of].mean(axis=0)
        assert np.linalg.norm(np.array(one["place"]) - middle) < SIDE / 10
    assert drawn(sample(clustered(20)))["clusters"] == [], "of so few there is nothing to say"
    numbers = drawn(sample(vectors, list(range(900))))["clusters"]
    assert all(one["value_share"] is None and 300 < int(one["value"]) < 600 for one in numbers)


def test_a_picture_stays_as_long_as_its_segments_do() -> None:
    frames = Frames()
    before = drawn(sample(clustered(300), segments=("a",)), frames)
    more = drawn(sample(clustered(330, seed=1), segments=("a",)), frames)
    assert before["frame"] == more["frame"]
    assert drawn(sample(clustered(300), segments=("a", "b")), frames)["frame"] != before["frame"]


def test_frames_of_long_ago_are_forgotten() -> None:
    frames = Frames(most=3)
    names = [drawn(sample(clustered(30), segments=(str(n),)), frames)["frame"] for n in range(5)]
    assert [frames.get(name) is not None for name in names] == [False, False, True, True, True]


def test_neighbours_stand_where_their_vectors_do() -> None:
    frames = Frames()
    vectors = clustered(300)
    told = drawn(sample(vectors), frames)
    frame = frames.get(told["frame"])
    assert frame is not None
    placed = neighbours_json(frame, [{"key": "[4]"}, {"key": "[9]"}], [vectors[4], vectors[9]])
    assert [one["place"] for one in placed] == points_of(told)[[4, 9]].tolist()
    (far,) = neighbours_json(frame, [{"key": "[0]"}], [1_000 * vectors[0]])
    assert max(map(abs, far["place"])) > SIDE


def test_of_no_rows_there_is_nothing_to_draw() -> None:
    told = drawn(sample(np.empty((0, DIMENSION), np.float32)))
    assert (told["rows"], told["keys"], told["points"], told["clusters"]) == (0, [], "", [])
