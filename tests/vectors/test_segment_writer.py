"""Building segments: the same bytes however it is done, and nothing left behind where it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.segments import lattice, measured

from lutra.kernels.graph import build
from lutra.model.errors import Corruption, LutraError, ParameterInvalid, StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_plan
from lutra.vectors.doubtful import Doubtful, Measured
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import UNFINISHED_SUFFIX, BuildPhase, write_segment

GRAPH = BuildPlan(SegmentKind.GRAPH, 4, degree=8, beam=20)


def blocks_of(vectors: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    begin = 0
    while begin < len(vectors):
        size = sizes[begin % len(sizes)]
        yield vectors[begin : begin + size]
        begin += size


@pytest.mark.parametrize("kind", SegmentKind)
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, kind: SegmentKind) -> None:
    vectors = lattice(700, 33)
    np.save(tmp_path / "vectors.npy", vectors)
    plan = BuildPlan(kind, 4, degree=8, beam=20)
    inputs: list[tuple[object, int]] = [
        (vectors, 1),
        (vectors, 3),
        (np.load(tmp_path / "vectors.npy", mmap_mode="r"), 2),
        (np.repeat(vectors, 2, axis=0)[::2], 1),
        (np.asfortranarray(vectors), 1),
        (blocks_of(vectors, [1, 200, 0, 7]), 1),
        (iter([vectors]), 2),
    ]
    found = set()
    for i, (given, threads) in enumerate(inputs):
        path = tmp_path / f"s{i}"
        write_segment(path, given, Metric.COSINE, plan=plan, threads=threads, seed=5).close()  # type: ignore[arg-type]
        found.add(path.read_bytes())
    assert len(found) == 1
    if kind is not SegmentKind.FLAT:
        write_segment(tmp_path / "other", vectors, Metric.COSINE, plan=plan, seed=6).close()
        assert (tmp_path / "other").read_bytes() not in found


def test_no_plan_is_the_policys(tmp_path: Path) -> None:
    with write_segment(tmp_path / "s", lattice(4_000, 400), Metric.EUCLIDEAN) as segment:
        assert (segment.kind, segment.codes.bits) == (SegmentKind.CODES, 2)
        assert choose_plan(4_000, 400) == BuildPlan(SegmentKind.CODES, 2)


@pytest.mark.parametrize("kind", SegmentKind)
def test_no_vectors_at_all(tmp_path: Path, kind: SegmentKind) -> None:
    plan = BuildPlan(kind, 2)
    with write_segment(tmp_path / "s", iter([]), Metric.COSINE, dimension=12, plan=plan) as segment:
        assert (segment.rows, segment.dimension, segment.verify()) == (0, 12, [])
        assert list(segment.vector_blocks()) == []
    with pytest.raises(ValueError, match="their dimension has to be given"):
        write_segment(tmp_path / "t", iter([]), Metric.COSINE, plan=plan)


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("rows", [1, 2, 300])
def test_duplicates_and_vectors_of_length_0(tmp_path: Path, metric: Metric, rows: int) -> None:
    for value in (0.0, 1.0):
        vectors = np.full((rows, 20), value, np.float32)
        path = tmp_path / f"{value}"
        with write_segment(path, vectors, metric, plan=GRAPH) as segment:
            assert segment.verify() == []
            assert np.array_equal(segment.read_vectors(np.arange(rows)), vectors)


def test_a_build_goes_on_from_a_graph(tmp_path: Path) -> None:
    vectors = lattice(600, 24)
    start = build(vectors[:500], Metric.EUCLIDEAN, degree=8, beam=20).neighbours
    done: list[tuple[BuildPhase, int, int]] = []
    with write_segment(
        tmp_path / "s",
        vectors,
        Metric.EUCLIDEAN,
        plan=GRAPH,
        start_graph=start,
        on_progress=lambda phase, rows, total: done.append((phase, rows, total)),
    ) as segment:
        assert segment.verify() == []
        # Most of the old rows keep most of their neighbours: they were not inserted again.
        kept = [len(set(a) & set(b)) for a, b in zip(segment.load_graph()[:500].tolist(), start.tolist(), strict=True)]
        assert np.mean(kept) > 4
    for phase in set(BuildPhase) - {BuildPhase.LISTS}:
        assert done[[p for p, _, _ in done].index(phase)][2] == 600
        assert [rows for p, rows, _ in done if p is phase][-1] == 600


def test_calibration_sees_the_segment_and_is_kept(tmp_path: Path) -> None:
    vectors = lattice(200, 16)

    def calibrate(segment: SegmentFile, doubtful: Doubtful) -> Measured:
        assert segment.verify() == []
        assert np.array_equal(segment.read_vectors(np.arange(200)), vectors)
        assert len(doubtful.hardly) == 0
        return measured({"rows": int(segment.load_graph().shape[0]), "curve": [[16, 0.875], [32, 0.9375]]}, 3, 150)

    with write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=GRAPH, calibrate=calibrate) as segment:
        assert segment.calibration == {"rows": 200, "curve": [[16, 0.875], [32, 0.9375]]}
        assert segment.verify() == []
        rows, exact = segment.load_exact()
        assert segment.exact == 2
        assert rows.tolist() == [3, 150]
        assert np.array_equal(exact, vectors[[3, 150]])


def failing_input(vectors: np.ndarray) -> Iterator[np.ndarray]:
    yield vectors[:100]
    raise OSError(5, "Input/output error")


def not_a_number(vectors: np.ndarray) -> np.ndarray:
    changed = vectors.copy()
    changed[151, 3] = np.nan
    return changed


def no_queries(segment: SegmentFile, doubtful: Doubtful) -> Measured:
    raise RuntimeError("no queries")


def cancels_at(phase: BuildPhase) -> Callable[[BuildPhase, int, int], None]:
    def on_progress(reached: BuildPhase, rows: int, total: int) -> None:
        if reached is phase:
            raise KeyboardInterrupt("stopped")

    return on_progress


@pytest.mark.parametrize(
    ("vectors", "options", "error", "text"),
    [
        (not_a_number, {}, ParameterInvalid, "Vector 151 has an element that is not a finite float32"),
        (lambda v: iter([v[:100], not_a_number(v)[100:]]), {}, ParameterInvalid, "Vector 151 "),
        (lambda v: iter([v, v[:, :-1]]), {}, ParameterInvalid, "A vector has 15 dimensions where 16 were expected"),
        (lambda v: v, {"dimension": 15}, ParameterInvalid, "A vector has 16 dimensions where 15 were expected"),
        (lambda v: np.empty((3, 4097), np.float32), {}, ParameterInvalid, "1 to 4096 dimensions, not 4097"),
        (lambda v: np.empty((3, 0), np.float32), {}, ParameterInvalid, "1 to 4096 dimensions, not 0"),
        (lambda v: v.astype(np.float64), {}, TypeError, "float32 with two axes"),
        (lambda v: v[0], {}, TypeError, "float32 with two axes"),
        (failing_input, {}, OSError, "Input/output error"),
        (lambda v: v, {"start_graph": np.full((9, 8), 9, np.uint32)}, ValueError, "row 0 of the start"),
        (lambda v: v, {"calibrate": no_queries}, RuntimeError, "no queries"),
        (lambda v: v, {"calibrate": lambda *_: measured({"x": float("nan")})}, ValueError, "not JSON compliant"),
        (lambda v: v, {"on_progress": cancels_at(BuildPhase.CHECK)}, KeyboardInterrupt, "stopped"),
        (lambda v: v, {"on_progress": cancels_at(BuildPhase.GRAPH)}, KeyboardInterrupt, "stopped"),
        (lambda v: v, {"on_progress": cancels_at(BuildPhase.WRITE)}, KeyboardInterrupt, "stopped"),
    ],
)
def test_a_build_that_fails_leaves_nothing(
    tmp_path: Path, vectors: Callable[..., object], options: dict[str, object], error: type[BaseException], text: str
) -> None:
    given = vectors(lattice(200, 16))
    with pytest.raises(error, match=text):
        write_segment(tmp_path / "s", given, Metric.EUCLIDEAN, plan=GRAPH, **options)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_a_merge_of_a_damaged_segment_fails_and_leaves_the_input(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_segment(source, lattice(300, 64), Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.FLAT, 2)).close()
    data = bytearray(source.read_bytes())
    data[40_000] ^= 1
    source.write_bytes(data)
    with (
        SegmentFile.open(source) as segment,
        pytest.raises(Corruption, match="source: section 'nodes', block"),
    ):
        write_segment(tmp_path / "merged", segment.vector_blocks(), Metric.EUCLIDEAN)
    assert os.listdir(tmp_path) == ["source"]
    assert source.read_bytes() == data


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"mine")
    with pytest.raises(StorageFailure, match="s: is there already"):
        write_segment(path, lattice(5, 4), Metric.EUCLIDEAN)

    def somebody_else(phase: BuildPhase, rows: int, total: int) -> None:
        (tmp_path / "t").write_bytes(b"theirs")

    with pytest.raises(StorageFailure, match="t: is there already"):
        write_segment(tmp_path / "t", lattice(5, 4), Metric.EUCLIDEAN, on_progress=somebody_else)
    assert path.read_bytes() == b"mine"
    assert (tmp_path / "t").read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["s", "t"]


def test_a_folder_that_is_not_there_or_goes_away_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="s: cannot be written: No such file or directory"):
        write_segment(tmp_path / "none" / "s", lattice(5, 4), Metric.EUCLIDEAN)
    with pytest.raises(StorageFailure, match="s: cannot be written: No such file or directory"):
        write_segment(tmp_path / "none" / "s", iter([lattice(5, 4)]), Metric.EUCLIDEAN)
    folder = tmp_path / "folder"
    folder.mkdir()

    def remove(phase: BuildPhase, rows: int, total: int) -> None:
        if phase is BuildPhase.WRITE:
            shutil.rmtree(folder)

    with pytest.raises(StorageFailure, match="s: cannot be written: No such file or directory"):
        write_segment(folder / "s", lattice(5, 4), Metric.EUCLIDEAN, on_progress=remove)


def test_vectors_in_blocks_take_bounded_memory(tmp_path: Path) -> None:
    def vectors() -> Iterator[np.ndarray]:
        for seed in range(40):
            yield lattice(1_000, 1_000, seed)

    tracemalloc.start()
    try:
        with write_segment(tmp_path / "s", vectors(), Metric.COSINE, plan=BuildPlan(SegmentKind.CODES, 1)) as segment:
            for _ in segment.vector_blocks():
                pass
            assert segment.verify() == []
            _, peak_bytes = tracemalloc.get_traced_memory()
        assert segment.size_bytes > 160e6
    finally:
        tracemalloc.stop()
    assert peak_bytes < 100e6


# Files of this process may not grow beyond a limit: the kernel says so at the write that would, as a full disk does.
FULL_DISK = """
    import os, resource, signal, sys
    from support.segments import lattice, measured
    from lutra.model.errors import StorageFailure
    from lutra.model.indexes import Metric
    from lutra.vectors.build_plan import BuildPlan
    from lutra.vectors.layout import SegmentKind
    from lutra.vectors.writer import BuildPhase, write_segment

    folder, size = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    vectors = lattice(200, 60)
    calibrate = lambda *_: measured({"x": list(range(5000))}, 7, 8)
    plan = BuildPlan(SegmentKind.GRAPH, 2, degree=8)

    def limit_files(size_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))

    failed = 0
    for limit in range(0, size + 4096, 4096):
        # From the start; of what is kept of blocks as well; and when the space seemed to be there.
        for given, limited_from in ((vectors, None), (iter([vectors]), None), (vectors, BuildPhase.GRAPH)):
            limit_files(limit if limited_from is None else resource.RLIM_INFINITY)
            try:
                write_segment(folder + "/s", given, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate,
                              on_progress=lambda phase, *_: phase is limited_from and limit_files(limit)).close()
            except StorageFailure as error:
                assert "File too large" in str(error) and folder in str(error), error
                assert os.listdir(folder) == [], os.listdir(folder)
                failed += 1
            else:
                assert limit >= size, limit
                os.unlink(folder + "/s")
    print(failed)
"""


def test_a_disk_that_is_full_at_any_page_leaves_nothing(tmp_path: Path) -> None:
    plan = BuildPlan(SegmentKind.GRAPH, 2, degree=8)
    curve = {"x": list(range(5000))}
    with write_segment(
        tmp_path / "s", lattice(200, 60), Metric.EUCLIDEAN, plan=plan, calibrate=lambda *_: measured(curve, 7, 8)
    ) as segment:
        size = segment.size_bytes
    folder = tmp_path / "full"
    folder.mkdir()
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(folder), str(size)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == 3 * size // 4096


KILLED = """
    import os, signal, sys
    from support.segments import lattice
    from lutra.model.indexes import Metric
    from lutra.vectors.writer import BuildPhase, write_segment

    def kill(phase, rows, total):
        if phase is BuildPhase.WRITE:
            os.kill(os.getpid(), signal.SIGKILL)

    write_segment(sys.argv[1], iter([lattice(300, 40)]), Metric.EUCLIDEAN, on_progress=kill)
"""


def test_a_build_that_is_killed_leaves_no_segment(tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    run = subprocess.run(command, timeout=60, env=environment(), check=False)
    assert run.returncode == -9
    left = os.listdir(tmp_path)
    assert len(left) == 1
    assert left[0].endswith(UNFINISHED_SUFFIX)
    with pytest.raises(LutraError):
        SegmentFile.open(path)
    write_segment(path, lattice(300, 40), Metric.EUCLIDEAN).close()
    assert SegmentFile.open(path).rows == 300


def environment() -> dict[str, str]:
    """That of this process, where tests/support is found as well."""
    tests = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), tests]))}
