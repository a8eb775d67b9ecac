"""Merging segments: what lives is there, what was damaged is told, and graphs stay as good as new ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.segments import lattice

from lutra.kernels.codes import Quantizer
from lutra.kernels.distance import topk
from lutra.kernels.graph import Walker
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import NO_ROW, SegmentKind
from lutra.vectors.merge import PLACES_KEPT_MIN, MergeInput, merge_segments, surviving_graph
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import BuildPhase, write_segment

GRAPH = BuildPlan(SegmentKind.GRAPH, 8, degree=16, beam=50)


@pytest.mark.parametrize("kind", SegmentKind)
def test_what_lives_is_there_in_order(tmp_path: Path, kind: SegmentKind) -> None:
    random = np.random.default_rng(3)
    plan = BuildPlan(kind, 4, degree=8, beam=20)
    inputs, expected = [], []
    for i, rows in enumerate([400, 0, 1, 77]):
        vectors = lattice(rows, 21, seed=i)
        segment = write_segment(tmp_path / f"{i}", vectors, Metric.COSINE, plan=plan)
        live = None if i == 2 else random.random(rows) < 0.6
        inputs.append(MergeInput(segment, live))
        expected.append(vectors if live is None else vectors[live])
    with merge_segments(tmp_path / "merged", inputs, plan=plan) as merged:
        assert merged.verify() == []
        assert merged.rows == sum(part.rows for part in inputs)
        assert np.array_equal(merged.read_vectors(np.arange(merged.rows)), np.concatenate(expected))
        assert merged.kind is kind


def test_all_dead_is_an_empty_segment(tmp_path: Path) -> None:
    segment = write_segment(tmp_path / "s", lattice(50, 4), Metric.EUCLIDEAN, plan=GRAPH)
    with merge_segments(tmp_path / "merged", [MergeInput(segment, np.zeros(50, bool))], plan=GRAPH) as merged:
        assert (merged.rows, merged.dimension, merged.verify()) == (0, 4, [])


def test_inputs_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    a = write_segment(tmp_path / "a", lattice(5, 4), Metric.EUCLIDEAN)
    b = write_segment(tmp_path / "b", lattice(5, 4), Metric.COSINE)
    c = write_segment(tmp_path / "c", lattice(5, 3), Metric.EUCLIDEAN)
    for other in (b, c):
        with pytest.raises(ParameterInvalid, match="differs from"):
            merge_segments(tmp_path / "merged", [MergeInput(a), MergeInput(other)])
    with pytest.raises(ValueError, match="nothing to merge"):
        merge_segments(tmp_path / "merged", [])
    with pytest.raises(ValueError, match="live has shape"):
        MergeInput(a, np.ones(4, bool))
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_input_is_told_and_left(tmp_path: Path, place: float) -> None:
    vectors = lattice(900, 40)
    write_segment(tmp_path / "a", vectors, Metric.EUCLIDEAN, plan=GRAPH).close()
    data = bytearray((tmp_path / "a").read_bytes())
    with SegmentFile.open(tmp_path / "a") as segment:
        name, section = list(segment.sections.items())[0 if place < 0.9 else 2]
    data[section.offset + int(place * section.size_bytes)] ^= 16
    (tmp_path / "a").write_bytes(data)
    with SegmentFile.open(tmp_path / "a") as segment, pytest.raises(Corruption, match=f"a: section '{name}', block"):
        merge_segments(tmp_path / "merged", [MergeInput(segment)], plan=GRAPH)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == data


@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_a_surviving_graph_has_the_old_edges_between_the_living(rows: int, degree: int, data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    live = random.random(rows) < data.draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))
    graph = np.full((rows, degree), NO_ROW, np.uint32)
    for row in range(rows):
        some = random.permutation(rows)[: random.integers(0, degree + 1)]
        graph[row, : len(some)] = some
    numbers = {int(old): new for new, old in enumerate(np.flatnonzero(live))}
    found = surviving_graph(graph, live)
    assert found.shape == (len(numbers), degree)
    for old, new in numbers.items():
        before = [n for n in graph[old].tolist() if n != NO_ROW]
        after = [numbers[n] for n in before if n in numbers]
        if len(after) < len(before) and len(after) < PLACES_KEPT_MIN * degree:
            after = []
        assert found[new].tolist() == after + [NO_ROW] * (degree - len(after))


def recall(segment: SegmentFile, queries: np.ndarray) -> float:
    vectors = segment.read_vectors(np.arange(segment.rows))
    codec = Quantizer(segment.dimension, segment.codes.bits, segment.metric, segment.centroid, segment.seed)
    walker = Walker(segment.load_graph(), segment.entries, segment.load_codes(), codec)
    rows = walker.walk(queries, beam=30, count=20).rows
    truth, _ = topk(queries, vectors, 10, segment.metric)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth.tolist(), rows.tolist(), strict=True)]))


def curved(random: np.random.Generator, rows: int) -> np.ndarray:
    """float32 [rows, 48] near a surface of 16 dimensions."""
    spread = np.random.default_rng(0).standard_normal((16, 48))
    points = np.tanh(random.standard_normal((rows, 16)) @ spread / 3) + 0.05 * random.standard_normal((rows, 48))
    return np.ascontiguousarray(points, np.float32)


def test_a_merge_goes_on_from_the_first_graph(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    old, new = curved(random, 1_500), curved(random, 100)
    a = write_segment(tmp_path / "a", old, Metric.EUCLIDEAN, plan=GRAPH)
    b = write_segment(tmp_path / "b", new, Metric.EUCLIDEAN, plan=GRAPH)
    inserted: dict[str, list[int]] = {"ab": [], "fresh": []}

    def follow(name: str) -> object:
        return lambda phase, done, total: phase is BuildPhase.GRAPH and inserted[name].append(done)

    live = random.random(1_500) < 0.95
    with (
        merge_segments(
            tmp_path / "ab", [MergeInput(a, live), MergeInput(b)], plan=GRAPH, on_progress=follow("ab")
        ) as merged,
        write_segment(
            tmp_path / "fresh", np.concatenate([old[live], new]), Metric.EUCLIDEAN, plan=GRAPH,
            on_progress=follow("fresh"),
        ) as fresh,
    ):  # fmt: skip
        kept = (merged.load_graph()[:, :1] == fresh.load_graph()[:, :1]).mean()
        queries = curved(random, 200)
        assert abs(recall(merged, queries) - recall(fresh, queries)) < 0.02
        assert kept > 0.9  # nearest neighbours are the same, whichever way the graph came about
    # Rows of the old graph count as done when the build begins.
    assert inserted["ab"][0] > inserted["fresh"][0]


def test_graphs_do_not_thin_out_from_merge_to_merge(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    vectors = curved(random, 1_500)
    segment = write_segment(tmp_path / "0", vectors, Metric.EUCLIDEAN, plan=GRAPH)
    for generation in range(1, 7):
        live = random.random(segment.rows) < 0.85
        added = curved(random, 1_500 - int(live.sum()))
        vectors = np.concatenate([vectors[live], added])
        new = write_segment(tmp_path / f"new{generation}", added, Metric.EUCLIDEAN)
        segment = merge_segments(tmp_path / f"{generation}", [MergeInput(segment, live), MergeInput(new)], plan=GRAPH)
    queries = curved(random, 200)
    with write_segment(tmp_path / "fresh", vectors, Metric.EUCLIDEAN, plan=GRAPH) as fresh:
        assert np.array_equal(segment.read_vectors(np.arange(1_500)), vectors)
        merged_degree = (segment.load_graph() != NO_ROW).sum(axis=1).mean()
        fresh_degree = (fresh.load_graph() != NO_ROW).sum(axis=1).mean()
        assert merged_degree > 0.95 * fresh_degree
        assert recall(segment, queries) > recall(fresh, queries) - 0.01
